"use strict";
/* Highlights a layer wherever it is shown. An element that stands for a layer has its path in `data-path`; one that
   stands for several also has all paths as JSON in `data-paths`. On a page about several models, `data-model` around it
   says which model the path belongs to, and a row of aligned layers has all of them as JSON in `data-lines-up`. */
const highlight = (() => {
  const places = new Map(); // "model path" → its elements
  const lit = new Set();
  const readout = document.getElementById("lit");
  let kept = null; // the element whose layer stays highlighted
  let frame = 0;

  const key = (model, path) => `${model} ${path}`;

  function keysOf(element) {
    if (element.dataset.linesUp) return JSON.parse(element.dataset.linesUp).map(([model, path]) => key(model, path));
    const model = element.closest("[data-model]")?.dataset.model ?? "0";
    const paths = element.dataset.paths ? JSON.parse(element.dataset.paths) : [element.dataset.path];
    return paths.map((path) => key(model, path));
  }

  function add(element) {
    for (const name of keysOf(element)) {
      if (!places.has(name)) places.set(name, []);
      places.get(name).push(element);
    }
  }
  document.querySelectorAll("[data-path], [data-lines-up]").forEach(add);
  const at = (name) => places.get(name) ?? [];
  const tree = [...document.querySelectorAll("tr[data-level]")]; // in model order, however the table is sorted

  /* The keys of an element: a module stands for everything below it, an aligned row for the layers of all models. */
  function meantBy(element) {
    const keys = new Set(keysOf(element));
    for (const name of [...keys]) {
      for (const row of at(name)) {
        if (row.dataset.linesUp || row.matches("tr.group")) below(row).forEach((other) => keys.add(other));
      }
    }
    return keys;
  }

  function below(row) {
    const keys = keysOf(row);
    const level = Number(row.dataset.level);
    let place = tree.indexOf(row) + 1;
    while (place > 0 && place < tree.length && Number(tree[place].dataset.level) > level) keys.push(...keysOf(tree[place++]));
    return keys;
  }

  /* Find the smallest module around a layer in a drawing, or a source, that does not have the layer itself. */
  function around(name, drawing) {
    let [, model, path] = /^(\S+) (.*)$/su.exec(name);
    while (path.includes(".")) {
      path = path.slice(0, path.lastIndexOf("."));
      const found = at(key(model, path)).filter((element) => drawing.contains(element));
      if (found.length) return found;
    }
    return [];
  }

  function elementsFor(element) {
    const keys = meantBy(element);
    const found = new Set([element]);
    for (const name of keys) at(name).forEach((other) => found.add(other));
    for (const drawing of document.querySelectorAll(".drawing .wide, .drawing .narrow, .drawing .tree, #source")) {
      if ([...found].some((other) => drawing.contains(other))) continue;
      for (const name of keys) around(name, drawing).forEach((other) => found.add(other));
    }
    return found;
  }

  function paint(element) {
    lit.forEach((other) => other.classList.remove("lit"));
    lit.clear();
    if (element) elementsFor(element).forEach((other) => lit.add(other));
    lit.forEach((other) => other.classList.add("lit"));
    const keys = element ? keysOf(element) : [];
    tell([...lit].find((other) => other.matches("tr[data-level], tr[data-lines-up]") && keysOf(other).some((name) => keys.includes(name))));
  }

  /* Show the numbers of the highlighted layer at the bottom of the window. */
  function tell(row) {
    readout.replaceChildren();
    readout.hidden = !row;
    if (!row) return;
    const titles = row.closest("table").tHead.rows[0].cells;
    [...row.cells].forEach((cell, place) => {
      const text = [...cell.children].some((child) => child.matches("small, button, span"))
        ? [...cell.childNodes].map((node) => node.textContent.trim()).filter(Boolean).join(" · ")
        : cell.textContent.trim();
      if (!text) return;
      const part = document.createElement(place ? "span" : "b");
      part.textContent = place ? `${titles[place].textContent}: ${text}` : text;
      readout.append(part, " ");
    });
  }

  function show(element) {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => paint(element ?? kept));
  }

  /* Toggle whether the layer of an element stays highlighted; return whether it now does. */
  function keep(element) {
    kept?.classList.remove("kept");
    kept = kept === element ? null : element;
    kept?.classList.add("kept");
    show(kept);
    return kept !== null;
  }

  const standing = (event) => (event.target instanceof Element ? event.target.closest("[data-path], [data-lines-up]") : null);
  document.addEventListener("pointerover", (event) => show(standing(event)));
  document.documentElement.addEventListener("pointerleave", () => show(null));
  document.addEventListener("focusin", (event) => show(standing(event)));
  document.addEventListener("focusout", () => show(null));
  return { keep, add };
})();
