"use strict";
/* The figure is walked: blocks open and fold; zoom, pan, search, by pointer and by keys. Without this script the drawn
   figure stands there alone. */
(() => {
  if (!graph) return;
  const { blocks, root, parent, order, items } = graph;
  const { open, tree, paper } = stage;
  const element = (id) => document.getElementById(`walk-${id}`);
  const [view, find, found] = ["view", "find", "found"].map(element);
  const figure = view.closest("figure");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const EDGE = 28; // the stage's padding, on both sides
  let scale = 1;

  function draw() {
    stage.draw();
    resize();
    walkable();
    count();
  }

  /* Opening and folding: the block that was pressed stays where it is. */
  function toggle(id, opened = !open.has(id)) {
    const item = items.get(id);
    const before = item.getBoundingClientRect();
    if (opened) open.add(id);
    else open.delete(id);
    draw();
    const after = item.getBoundingClientRect();
    view.scrollBy({ left: after.left - before.left, top: after.top - before.top, behavior: "instant" });
  }

  function press(id) {
    if (blocks[id].g) toggle(id);
    else if (blocks[id].p) keep(items.get(id));
  }

  /* Keep a layer highlighted wherever it is shown, or stop that. */
  function keep(item) {
    const kept = highlight.keep(item);
    for (const other of tree.querySelectorAll('[aria-selected="true"]')) other.setAttribute("aria-selected", "false");
    item.setAttribute("aria-selected", String(kept));
  }

  /* Open whole levels while few blocks are on view. Where the first ones say next to nothing, more are shown, if need be
     by opening only those blocks of a level for which there is room. */
  function openSome(few = 8, usual = 20, most = 32) {
    for (let level = blocks[root].g.c, all = level.length; level.some((id) => blocks[id].g); ) {
      const groups = level.filter((id) => blocks[id].g);
      const below = groups.flatMap((id) => blocks[id].g.c);
      const sparse = all < few;
      if (all + below.length > (sparse ? most : usual)) {
        for (const id of sparse ? groups : []) {
          if (all + blocks[id].g.c.length > usual) continue;
          open.add(id);
          all += blocks[id].g.c.length;
        }
        return;
      }
      groups.forEach((id) => open.add(id));
      all += below.length;
      level = below;
    }
  }

  function openAll(all) {
    open.clear();
    open.add(root);
    if (all) blocks.forEach((block, id) => block.g && open.add(id));
    show("live");
    draw();
    home();
  }

  /* Zoom: the figure is scaled within a part of the page that scrolls, so that all ways to scroll pan it. */
  const walking = () => figure.dataset.mode === "live";

  function resize() {
    paper.style.transform = `scale(${scale})`;
    const { width, height } = stage.size();
    Object.assign(stage.all.style, { width: `${width * scale}px`, height: `${height * scale}px` });
    Object.assign(paper.style, { width: `${width}px`, height: `${height}px` });
    for (const one of view.querySelectorAll(".wide svg, .narrow svg")) {
      one.style.maxWidth = scale === 1 || walking() ? "" : "none";
      one.style.width = scale === 1 || walking() ? "" : `${100 * scale}%`;
    }
    view.classList.toggle("framed", walking() || scale !== 1);
    element("scale").textContent = `${Math.round(scale * 100)} %`;
  }

  function zoom(to, x = view.clientWidth / 2, y = view.clientHeight / 2) {
    const before = scale;
    scale = Math.min(4, Math.max(0.1, to));
    const [left, top] = [view.scrollLeft, view.scrollTop];
    resize();
    const by = scale / before;
    view.scrollTo({ left: (left + x) * by - x, top: (top + y) * by - y, behavior: "instant" });
  }

  function fit() {
    if (walking()) {
      zoom(Math.min((view.clientWidth - EDGE) / stage.size().width, (0.8 * innerHeight - EDGE) / stage.size().height, 1));
    } else zoom(1);
  }

  /* Show the beginning, as large as it can be read. */
  function home() {
    const readable = walking() ? Math.min(1, Math.max(0.75, (view.clientWidth - EDGE) / stage.size().width)) : 1;
    zoom(readable);
    const axis = walking() ? centreOf(order[0]) : 0;
    view.scrollTo({ left: axis * scale - view.clientWidth / 2, top: 0, behavior: "instant" });
  }

  function centreOf(id) {
    const box = items.get(id).getBoundingClientRect();
    return (box.left + box.width / 2 - paper.getBoundingClientRect().left) / scale;
  }

  function show(mode) {
    const changed = figure.dataset.mode !== mode;
    figure.dataset.mode = mode;
    for (const name of ["live", "drawn"]) element(name).setAttribute("aria-pressed", String(name === mode));
    if (changed && mode === "live" && !stage.size().width) draw();
    if (changed) home();
  }

  /* Search */
  const text = order.map(graph.textOf);
  let matches = [];
  let match = -1;

  function count() {
    for (const [id, item] of items) item.classList.toggle("found", match >= 0 && matches[match] === id);
    const asked = find.value.trim();
    found.textContent = !asked ? "" : matches.length ? `${match + 1} of ${matches.length}` : "nothing found";
  }

  function search() {
    const word = find.value.trim().toLowerCase();
    matches = word ? order.filter((_, place) => text[place].includes(word)) : [];
    match = matches.length ? 0 : -1;
    step(0);
  }

  function step(by) {
    if (!matches.length) return count();
    match = (match + by + matches.length) % matches.length;
    reveal(matches[match]);
  }

  /* Open everything around a block and bring it into view. */
  function reveal(id) {
    for (let above = parent.get(id); above !== undefined; above = parent.get(above)) open.add(above);
    show("live");
    draw();
    const [box, room] = [items.get(id).getBoundingClientRect(), view.getBoundingClientRect()];
    view.scrollBy({
      left: box.left + Math.min(box.width, room.width) / 2 - room.left - room.width / 2,
      top: box.top + Math.min(box.height, room.height) / 2 - room.top - room.height / 2,
      behavior: calm.matches ? "instant" : "smooth",
    });
  }

  /* Keys: the tree is one tab stop, and the arrow keys move within it. */
  function walkable(to) {
    const now = to ?? tree.querySelector('[tabindex="0"]') ?? tree.firstChild;
    for (const item of tree.querySelectorAll('[tabindex="0"]')) item.tabIndex = -1;
    now.tabIndex = 0;
  }

  function focus(item) {
    if (!item) return;
    walkable(item);
    item.focus();
  }

  /* Do what a key is for; with Alt, Ctrl or Cmd it is the browser's. */
  function heed(event, acts) {
    if (event.altKey || event.ctrlKey || event.metaKey || !acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }

  function walk(event) {
    const item = event.target.closest(".block");
    if (!item) return;
    const id = Number(item.dataset.id);
    const acts = {
      ArrowDown: () => focus(item.nextSibling),
      ArrowUp: () => focus(item.previousSibling),
      ArrowRight: () => blocks[id].g && (open.has(id) ? focus(item.nextSibling) : toggle(id, true)),
      ArrowLeft: () => (open.has(id) ? toggle(id, false) : focus(items.get(parent.get(id)))),
      Home: () => focus(tree.firstChild),
      End: () => focus(tree.lastChild),
      Enter: () => press(id),
      " ": () => press(id),
    };
    heed(event, acts);
  }

  function zoomByKey(event) {
    heed(event, { "+": () => zoom(scale * 1.25), "=": () => zoom(scale * 1.25), "-": () => zoom(scale / 1.25), 0: home });
  }

  /* Drag with the mouse; a finger scrolls by itself. */
  let drag = null;
  view.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch" || event.button !== 0) return;
    drag = { x: event.clientX, y: event.clientY, left: view.scrollLeft, top: view.scrollTop, far: false };
  });
  view.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.far && Math.hypot(x, y) < 5) return;
    if (!drag.far) view.setPointerCapture(event.pointerId);
    drag.far = true;
    view.scrollTo({ left: drag.left - x, top: drag.top - y, behavior: "instant" });
  });
  let dragged = false;
  for (const end of ["pointerup", "pointercancel"]) {
    addEventListener(end, () => {
      dragged = drag?.far ?? false;
      drag = null;
    });
  }

  view.addEventListener("click", (event) => {
    if (dragged) return;
    const item = event.target.closest(".block");
    if (item) {
      walkable(item);
      return press(Number(item.dataset.id));
    }
    const path = event.target.closest("svg [data-path]")?.dataset.path; // in the figure as it is drawn
    const id = path === undefined ? undefined : order.find((each) => blocks[each].p?.includes(path));
    if (id === undefined) return;
    if (blocks[id].g) open.add(id);
    reveal(id);
  });
  view.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // without a key it scrolls
      event.preventDefault();
      const room = view.getBoundingClientRect();
      zoom(scale * Math.exp(-event.deltaY / 400), event.clientX - room.left, event.clientY - room.top);
    },
    { passive: false },
  );
  view.addEventListener("keydown", zoomByKey);
  tree.addEventListener("keydown", walk);
  for (const [enter, leave] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
    tree.addEventListener(enter, (event) => stage.trace(Number(event.target.closest(".block")?.dataset.id)));
    tree.addEventListener(leave, () => stage.trace());
  }
  find.addEventListener("input", search);
  find.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    step(event.shiftKey ? -1 : 1);
  });
  const buttons = {
    live: () => show("live"),
    drawn: () => show("drawn"),
    open: () => openAll(true),
    close: () => openAll(false),
    in: () => zoom(scale * 1.25),
    out: () => zoom(scale / 1.25),
    scale: home,
    fit,
  };
  for (const [id, act] of Object.entries(buttons)) element(id).addEventListener("click", act);
  for (const part of document.querySelectorAll(".tools")) part.hidden = false;
  view.append(stage.all);
  view.classList.add("live");
  view.tabIndex = 0;
  openSome();
  show(figure.dataset.first);
})();
