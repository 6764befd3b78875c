"use strict";
/* The blocks of the figure to walk in: what is written in each. The blocks of every level are JSON in the page; a block
   has its words and, in `g`, what is inside it. A page without them has no such figure. */
const graph = (() => {
  const source = document.getElementById("walk-blocks");
  if (!source) return null;
  const blocks = JSON.parse(source.textContent);
  const make = (name, look, ...children) => {
    const made = document.createElement(name);
    if (look) made.className = look;
    made.append(...children);
    return made;
  };
  const svg = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);

  const root = blocks.length - 1;
  const parent = new Map();
  blocks.forEach((block, id) => block.g?.c.forEach((child) => parent.set(child, id)));
  const depthOf = (id) => (parent.has(id) ? depthOf(parent.get(id)) + 1 : 0);
  const order = []; // all blocks from the first to the last that runs, each before what is inside it
  for (const pending = [root]; pending.length; ) {
    const id = pending.pop();
    if (id !== root) order.push(id);
    pending.push(...[...(blocks[id].g?.c ?? [])].reverse());
  }
  const items = new Map(); // a block's element, once it was shown

  const nameOf = (block) => block.n ?? block.p?.[0] ?? "";
  function shortName(id) {
    const around = blocks[parent.get(id)]?.p?.[0];
    const name = nameOf(blocks[id]);
    return around && name.startsWith(`${around}.`) ? name.slice(around.length + 1) : name;
  }
  const plainly = (id) => nameOf(blocks[id]) || blocks[id].w;

  function sourcesOf(id) {
    const inside = blocks[parent.get(id)].g;
    const place = inside.i.length + inside.c.indexOf(id);
    const keys = [...new Set(inside.e.filter((tie) => tie[1] === place).map((tie) => tie[2]))];
    const said = keys.slice(0, 4).map(plainly).join(", ");
    return keys.length ? `reads ${said}${keys.length > 4 ? ` and ${keys.length - 4} more` : ""}` : "";
  }

  const numbersOf = ({ q, m }) => [q && `${q} parameters`, m && `${m} MACs`].filter(Boolean).join(", ");

  const whatOf = ({ w, t }) => (t ? `${w} ${t}` : w);

  /* What stands first in a block; in one of a single line it is all. */
  function titleOf(block) {
    if (block.k === "merge") return [whatOf(block), ...(block.b ?? [])].join(", ");
    return ["input", "output"].includes(block.k) ? [block.w, nameOf(block), block.s].filter(Boolean).join(" ") : whatOf(block);
  }

  function itemOf(id) {
    if (items.has(id)) return items.get(id);
    const block = blocks[id];
    const item = make("div", `block ${block.k ?? "layer"}`);
    item.append(make("b", "", titleOf(block)));
    if (!["merge", "input", "output"].includes(block.k)) {
      item.append(make("span", "", make("span", "faint", shortName(id)), make("span", "", block.s ?? "")));
      if (block.b) item.append(make("span", "faint", `+ ${block.b.join(", ")}`));
      if (block.z) item.append(make("span", "faint inside", block.z.join(", ")));
      if (block.g && numbersOf(block)) item.append(make("span", "faint inside", numbersOf(block)));
    }
    const about = [whatOf(block), nameOf(block), block.s, block.z?.join(", "), block.b && `with ${block.b.join(", ")}`, numbersOf(block), sourcesOf(id)];
    const siblings = blocks[parent.get(id)].g.c;
    const said = { role: "treeitem", "aria-label": about.filter(Boolean).join("; "), "aria-level": depthOf(id) };
    Object.assign(said, { "aria-setsize": siblings.length, "aria-posinset": siblings.indexOf(id) + 1, tabindex: -1 });
    if (!block.g) said["aria-selected"] = "false";
    for (const [name, value] of Object.entries(said)) item.setAttribute(name, value);
    item.dataset.choice = block.f ?? "other";
    item.dataset.id = id;
    if (block.p) item.dataset.path = block.p[0];
    if (block.p?.length > 1) item.dataset.paths = JSON.stringify(block.p);
    items.set(id, item);
    if (block.p) highlight.add(item);
    return item;
  }

  /* What a search looks in. */
  const textOf = (id) => [blocks[id].w, nameOf(blocks[id]), blocks[id].s, ...(blocks[id].p ?? [])].join(" ").toLowerCase();

  return { blocks, root, parent, order, items, itemOf, textOf, make, svg };
})();
