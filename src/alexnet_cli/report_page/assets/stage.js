"use strict";
/* The stage of the figure to walk in: frames and lines behind, and the blocks on view in front of them as a tree. */
const stage = graph && (() => {
  const { blocks, root, items, itemOf, make, svg } = graph;
  const frames = make("div", "frames");
  const wires = svg("svg");
  wires.innerHTML = '<defs><marker id="tip" viewBox="0 0 8 6" refX="8" refY="3" markerWidth="8" markerHeight="6" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 3L0 6Z"/></marker></defs>';
  const back = make("div", "", frames, wires);
  back.setAttribute("aria-hidden", "true");
  const tree = make("div", "tree");
  tree.setAttribute("role", "tree");
  tree.setAttribute("aria-label", "Blocks of the model, in execution order");
  const paper = make("div", "paper", back, tree);
  const all = make("div", "stage", paper);
  const open = new Set([root]);
  let lines = []; // those drawn: { node, source, target, key }
  let size = { width: 0, height: 0 };

  function shown() {
    const seen = [];
    for (const pending = [...blocks[root].g.c].reverse(); pending.length; ) {
      const id = pending.pop();
      seen.push(id);
      if (open.has(id)) pending.push(...[...blocks[id].g.c].reverse());
    }
    return seen;
  }

  /* Bring the elements in the tree into this order, without touching those that are in place: one may have the focus. */
  function arrange(wanted) {
    const kept = new Set(wanted);
    [...tree.children].filter((child) => !kept.has(child)).forEach((child) => child.remove());
    let next = tree.firstChild;
    for (const item of wanted) {
      if (item === next) next = next.nextSibling;
      else tree.insertBefore(item, next);
    }
  }

  function draw() {
    const seen = shown();
    for (const id of seen) {
      const item = itemOf(id);
      if (blocks[id].g) item.setAttribute("aria-expanded", String(open.has(id)));
      item.style.width = "";
    }
    arrange(seen.map((id) => items.get(id)));
    const sizes = new Map(seen.map((id) => [id, sizeOf(items.get(id))]));
    const placed = { frames: [], lines: [] };
    size = part(root, sizes, placed);
    size.put(0, 0);
    frames.replaceChildren(...placed.frames);
    wires.setAttribute("width", size.width);
    wires.setAttribute("height", size.height);
    lines = placed.lines;
    wires.replaceChildren(wires.firstChild, ...lines.map((line) => line.node));
  }

  /* A width is rounded, and a title would wrap in one that was rounded down. */
  const sizeOf = (item) => ({ width: item.offsetWidth + 1, height: item.offsetHeight });

  /* Return a block as a part of the level around it, with the inside laid out if it is open; `put` places it. */
  function part(id, sizes, placed) {
    const own = sizes.get(id);
    if (!open.has(id)) return { ...own, axis: own.width / 2, put: (x, y) => move(id, x, y) };
    const inside = blocks[id].g;
    const port = () => ({ width: 0, height: 0, axis: 0, put: () => {} });
    const parts = [...inside.i.map(port), ...inside.c.map((child) => part(child, sizes, placed)), ...inside.o.map(port)];
    const laid = level.place(parts, inside);
    const [pad, head, foot] = own ? [level.EM, own.height, level.EM / 2] : [0, 0, 0];
    const width = Math.max(laid.width + 2 * pad, own?.width ?? 0);
    const left = (width - laid.width) / 2;
    const at = (number) => left + laid.corners[number].x;
    const ins = new Map(inside.i.map((key, number) => [key, at(number)]));
    const outs = new Map(inside.o.map((key, number) => [key, at(parts.length - inside.o.length + number)]));
    const height = head + laid.height + foot;
    const axis = ins.size ? ins.values().next().value : width / 2;
    const put = (x, y) => {
      if (own) frame(id, x, y, width, height, placed);
      parts.forEach((each, number) => each.put(x + at(number), y + head + laid.corners[number].y));
      for (const line of laid.lines) wire(line, x + left, y + head, inside, parts, placed);
      for (const out of outs.values()) plain([[x + out, y + height - foot], [x + out, y + height]], placed);
    };
    return { width, height, axis, ins, outs, put };
  }

  function move(id, x, y) {
    items.get(id).style.transform = `translate(${x}px, ${y}px)`;
  }

  function frame(id, x, y, width, height, placed) {
    const box = make("div", "");
    Object.assign(box.style, { transform: `translate(${x}px, ${y}px)`, width: `${width}px`, height: `${height}px` });
    placed.frames.push(box);
    move(id, x, y);
    items.get(id).style.width = `${width}px`;
  }

  function plain(points, placed, tied = {}) {
    const node = svg("path");
    node.setAttribute("d", level.path(points, tied.smooth));
    placed.lines.push({ node, ...tied });
    return node;
  }

  function wire(line, x, y, inside, parts, placed) {
    const block = (number) => inside.c[number - inside.i.length];
    const tied = { ...line, source: block(line.source), target: block(line.target) };
    const node = plain(line.points.map((point) => [point[0] + x, point[1] + y]), placed, tied);
    if (parts[line.target].height) node.setAttribute("marker-end", "url(#tip)");
  }

  /* Light up the lines of a block, and where its output goes through frames. */
  function trace(id) {
    for (const line of lines) line.node.classList.toggle("on", id !== undefined && [line.source, line.target, line.key].includes(id));
  }

  return { all, paper, tree, open, draw, trace, size: () => size };
})();
