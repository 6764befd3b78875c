"use strict";
/* The layer table: sorting by column, filtering by text, folding by module, moving with the arrow keys. */
(() => {
  const table = document.getElementById("layer-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const element = (id) => document.getElementById(id);
  const [filter, choice, fold, unfold, inOrder, count] = ["filter", "choice", "fold", "unfold", "order", "count"].map(element);
  const levels = rows.map((row) => Number(row.dataset.level ?? 0));
  const isGroup = rows.map((row) => row.classList.contains("group"));
  const words = rows.map((row) => row.cells[0].textContent.toLowerCase());
  const parents = parentsOf(levels);
  const folded = new Set();
  let sorting = null; // { column, descending }

  function parentsOf(depths) {
    const above = [];
    return depths.map((level, place) => {
      while (above.length && depths[above.at(-1)] >= level) above.pop();
      const parent = above.at(-1) ?? -1;
      above.push(place);
      return parent;
    });
  }

  function isFoldedAway(place) {
    for (let above = parents[place]; above >= 0; above = parents[above]) if (folded.has(above)) return true;
    return false;
  }

  /* Find the rows that match; in the tree, also the modules around them. */
  function matching() {
    const word = filter.value.trim().toLowerCase();
    const kind = choice?.value ?? "";
    const found = rows.map((row, place) => (!kind || row.dataset.choice === kind) && words[place].includes(word) && !(kind && isGroup[place]));
    const asked = Boolean(word || kind);
    const shown = [...found];
    if (asked && !sorting) {
      found.forEach((is, place) => {
        for (let above = parents[place]; is && above >= 0; above = parents[above]) shown[above] = true;
      });
    }
    return { found, shown, asked };
  }

  function update() {
    const { found, shown, asked } = matching();
    let matches = 0;
    let leaves = 0;
    rows.forEach((row, place) => {
      const away = sorting ? isGroup[place] : !asked && isFoldedAway(place);
      row.hidden = !shown[place] || away;
      row.classList.toggle("flat", sorting !== null);
      leaves += !isGroup[place];
      matches += found[place] && !isGroup[place];
      const button = row.cells[0].querySelector("button[aria-expanded]");
      button?.setAttribute("aria-expanded", String(asked || !folded.has(place)));
    });
    const seen = rows.filter((row) => !row.hidden).length;
    count.textContent = asked ? `${matches} of ${leaves} rows match` : seen < rows.length ? `${seen} of ${rows.length} rows shown` : `${rows.length} rows`;
    inOrder.disabled = !sorting;
    walkable();
  }

  /* Sorting */
  function numberOf(cell) {
    const shown = cell.dataset.v ?? cell.firstChild?.textContent.replaceAll(",", "") ?? "";
    if (shown === "inf") return Infinity;
    return shown.trim() === "" || Number.isNaN(Number(shown)) ? -Infinity : Number(shown);
  }
  const isNumeric = (column) => heads[column].classList.contains("n");

  function compare(column, descending) {
    const sign = descending ? -1 : 1;
    const text = (place) => rows[place].cells[column].textContent;
    return (a, b) => {
      const difference = isNumeric(column)
        ? numberOf(rows[a].cells[column]) - numberOf(rows[b].cells[column])
        : text(a).localeCompare(text(b), undefined, { numeric: true });
      return sign * (difference || 0) || a - b; // the difference of two infinities is NaN
    };
  }

  function sortBy(column) {
    const first = isNumeric(column); // numbers sort largest first
    if (sorting?.column !== column) sorting = { column, descending: first };
    else sorting = sorting.descending === first ? { column, descending: !first } : null;
    arrange();
  }

  function arrange() {
    heads.forEach((head, column) => {
      if (sorting?.column === column) head.setAttribute("aria-sort", sorting.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const order = rows.map((_, place) => place);
    if (sorting) order.sort(compare(sorting.column, sorting.descending));
    body.append(...order.map((place) => rows[place]));
    update();
  }

  /* Folding */
  function setFolded(place, away) {
    if (away) folded.add(place);
    else folded.delete(place);
    update();
  }

  function foldTo(level) {
    folded.clear();
    rows.forEach((_, place) => isGroup[place] && levels[place] >= level && folded.add(place));
    update();
  }

  /* Moving: the table is a single tab stop, and the arrow keys move within it. */
  function walkable() {
    const buttons = rows.map((row) => row.cells[0].querySelector("button"));
    const current = buttons.find((button) => button.tabIndex === 0 && !button.closest("tr").hidden);
    buttons.forEach((button) => (button.tabIndex = -1));
    const first = current ?? [...body.rows].find((row) => !row.hidden)?.cells[0].querySelector("button");
    if (first) first.tabIndex = 0;
  }

  function walk(event) {
    const row = event.target.closest("tbody tr");
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const place = rows.indexOf(row);
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      if (!isGroup[place] || sorting) return;
      setFolded(place, event.key === "ArrowLeft");
    } else {
      const seen = [...body.rows].filter((other) => !other.hidden);
      const here = seen.indexOf(row);
      const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: seen.length - 1 }[event.key];
      if (to === undefined) return;
      const button = seen[Math.max(0, Math.min(to, seen.length - 1))].cells[0].querySelector("button");
      row.cells[0].querySelector("button").tabIndex = -1;
      button.tabIndex = 0;
      button.focus();
    }
    event.preventDefault();
  }

  /* Turn whatever can be pressed into buttons. */
  function pressable(cell, act) {
    const name = cell.querySelector(".name");
    const button = document.createElement("button");
    button.type = "button";
    button.append(...(name ?? cell).childNodes);
    if (name) name.replaceWith(button);
    else cell.append(button);
    button.addEventListener("click", () => act(button));
    return button;
  }

  function keep(row, button) {
    body.querySelectorAll('[aria-pressed="true"]').forEach((other) => other.setAttribute("aria-pressed", "false"));
    button.setAttribute("aria-pressed", String(highlight.keep(row)));
  }

  heads.forEach((head, column) => pressable(head, () => sortBy(column)));
  rows.forEach((row, place) => {
    if (isGroup[place]) pressable(row.cells[0], () => setFolded(place, !folded.has(place))).setAttribute("aria-expanded", "true");
    else pressable(row.cells[0], (button) => keep(row, button)).setAttribute("aria-pressed", "false");
  });
  body.addEventListener("keydown", walk);
  filter.addEventListener("input", update);
  choice?.addEventListener("change", update);
  fold?.addEventListener("click", () => foldTo(1));
  unfold?.addEventListener("click", () => foldTo(Infinity));
  inOrder.addEventListener("click", () => {
    sorting = null;
    arrange();
  });
  document.querySelectorAll(".controls, .keys").forEach((part) => (part.hidden = false));
  foldTo(table.dataset.open === undefined ? Infinity : Number(table.dataset.open));
})();
