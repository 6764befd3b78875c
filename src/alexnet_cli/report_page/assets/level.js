"use strict";
/* Places the parts of a level and draws the lines between them. Rank, lane and route of each are in the page; only how
   large the parts are is known here. A part has a `width`, a `height`, the `axis` of its lane from its left edge, and in
   `ins` and `outs` where lines enter and leave it by key, elsewhere than on the axis. */
const level = (() => {
  const EM = 13;
  const [GAP, SHORT, LANE_GAP, TRACK, TURN, STRAIGHT, CORNER] = [2.2, 1.2, 2, 1, 0.8, 0.8, 0.55].map((size) => size * EM);
  const SLOPE = 0.06;
  const [BY_SOURCE, BY_TARGET, AROUND] = [1, 2, 3]; // routes; any other is direct

  const most = (numbers, least = 0) => numbers.reduce((a, b) => Math.max(a, b), least);
  const between = (list, first, last) => list.slice(Math.max(first, 0), last + 1);

  /* Put each chain as near to lane 0 as the chains nearer to it allow, over the ranks that it takes. */
  function axesOf(parts, { r: ranks, h: chains }, rows) {
    const axes = parts.map(() => 0);
    const edges = { "1": Array(rows).fill(0), "-1": Array(rows).fill(0) };
    const reach = (part, side) => (side > 0 ? parts[part].width - parts[part].axis : parts[part].axis);
    for (const [lane, first, last, ...chain] of [...chains].sort((a, b) => Math.abs(a[0]) - Math.abs(b[0]))) {
      const side = lane > 0 ? 1 : -1;
      const out = lane ? most(between(edges[side], first, last)) + LANE_GAP + most(chain.map((part) => reach(part, -side))) : 0;
      for (const way of lane ? [side] : [1, -1]) {
        for (let rank = Math.max(first, 0); rank <= Math.min(last, rows - 1); rank++) edges[way][rank] = Math.max(edges[way][rank], out);
        for (const part of chain) edges[way][ranks[part]] = Math.max(edges[way][ranks[part]], out + reach(part, way));
      }
      for (const part of chain) axes[part] = side * out;
    }
    return axes;
  }

  /* Set where each rank begins and ends; ranks are further apart where lines go far sideways. */
  function rowsOf(parts, { r: ranks, e: ties }, axes, rows) {
    const heights = Array(rows).fill(0);
    parts.forEach((part, place) => (heights[ranks[place]] = Math.max(heights[ranks[place]], part.height)));
    const gaps = heights.map((_, rank) => ((heights[rank + 1] ?? 1) ? GAP : SHORT));
    for (const [source, target, , route] of ties) {
      const aside = Math.abs(axes[source] - axes[target]);
      const rank = route === BY_SOURCE ? ranks[target] - 1 : ranks[source];
      if (route !== AROUND && aside) gaps[rank] = Math.max(gaps[rank], GAP + SLOPE * aside);
    }
    let y = 0;
    return heights.map((height, rank) => {
      const row = { top: y, bottom: y + height };
      y = row.bottom + gaps[rank];
      return row;
    });
  }

  /* Give the lines around from one output a common track, short ones first: longer ones run outside of them. */
  function tracksOf(parts, { r: ranks, h: chains, e: ties }, corners) {
    const lanes = [];
    for (const [lane, , , ...chain] of chains) for (const part of chain) lanes[part] = lane;
    const blocked = (part, side) => lanes.some((lane, other) => ranks[other] === ranks[part] && (lane - lanes[part]) * side > 0);
    const starts = new Map();
    for (const [source, target, key, route] of ties) {
      if (route !== AROUND) continue;
      const name = `${source} ${key}`;
      const track = starts.get(name) ?? { first: ranks[source], last: 0, targets: [] };
      track.last = Math.max(track.last, ranks[target]);
      track.targets.push(target);
      starts.set(name, track);
    }
    const laid = [];
    for (const track of [...starts.values()].sort((a, b) => a.last - a.first - (b.last - b.first))) {
      const { first, last } = track;
      const cost = (side) => [
        track.targets.filter((target) => blocked(target, side)).length,
        lanes.filter((lane, part) => lane * side > 0 && first < ranks[part] && ranks[part] < last).length,
      ];
      const [right, left] = [cost(1), cost(-1)];
      track.side = right[0] < left[0] || (right[0] === left[0] && right[1] <= left[1]) ? 1 : -1;
      let edge = -Infinity;
      parts.forEach((part, place) => {
        if (first <= ranks[place] && ranks[place] <= last) edge = Math.max(edge, track.side * (corners[place].x + (track.side > 0 ? part.width : 0)));
      });
      for (const other of laid) if (other.side === track.side && other.first < last && first < other.last) edge = Math.max(edge, other.side * other.x);
      track.x = track.side * (edge + TRACK);
      laid.push(track);
    }
    return { of: (source, key) => starts.get(`${source} ${key}`), blocked };
  }

  /* Return the size of a level, the upper left corners of its parts, and its lines, each a path and what it ties. */
  function place(parts, graph) {
    const { r: ranks, e: ties } = graph;
    const rows = most(ranks) + 1;
    const axes = axesOf(parts, graph, rows);
    const row = rowsOf(parts, graph, axes, rows);
    const corners = parts.map((part, place) => ({
      x: axes[place] - part.axis,
      y: (row[ranks[place]].top + row[ranks[place]].bottom - part.height) / 2,
    }));
    const tracks = tracksOf(parts, graph, corners);
    const lines = ties.map(([source, target, key, route]) => {
      const [from, to] = [corners[source], corners[target]];
      const start = [from.x + (parts[source].outs?.get(key) ?? parts[source].axis), from.y + parts[source].height];
      const end = [to.x + (parts[target].ins?.get(key) ?? parts[target].axis), to.y];
      if (route === AROUND) return { source, target, key, points: around(source, target, key, start, end), smooth: false };
      const bend = row[route === BY_SOURCE ? ranks[target] - 1 : ranks[source]].bottom;
      const straight = row[route === BY_TARGET ? ranks[source] + 1 : ranks[target]].top - STRAIGHT;
      return { source, target, key, points: [start, [start[0], bend], [end[0], straight], end], smooth: true };
    });

    /* Lead a line around the parts in between: out below the source, along the outside, into the target's side. */
    function around(source, target, key, start, end) {
      const track = tracks.of(source, key);
      const below = row[track.first].bottom + TURN;
      const out = [start, [start[0], below], [track.x, below]];
      const part = parts[target];
      if (tracks.blocked(target, track.side) || !part.height) {
        const above = row[ranks[target]].top - TURN;
        return [...out, [track.x, above], [end[0], above], end];
      }
      const middle = corners[target].y + Math.min(part.height / 2, EM * 1.5);
      return [...out, [track.x, middle], [corners[target].x + (track.side > 0 ? part.width : 0), middle]];
    }

    const across = [...lines.flatMap((line) => line.points.map(([x]) => x)), ...corners.flatMap(({ x }, place) => [x, x + parts[place].width])];
    const left = across.reduce((a, b) => Math.min(a, b), Infinity);
    for (const corner of corners) corner.x -= left;
    for (const line of lines) line.points = line.points.map(([x, y]) => [x - left, y]);
    return { width: most(across, -Infinity) - left, height: row.at(-1).bottom, corners, lines };
  }

  /* Write a line as a path: straight with round corners, or smooth, leaving and entering each point downward. */
  function path(points, smooth) {
    const said = (point) => point.map((at) => Math.round(at * 10) / 10).join(" ");
    let d = `M${said(points[0])}`;
    for (let place = 1; place < points.length; place++) {
      const [before, here, after] = [points[place - 1], points[place], points[place + 1]];
      if (smooth) {
        const middle = (before[1] + here[1]) / 2;
        d += before[0] === here[0] ? `L${said(here)}` : `C${said([before[0], middle])} ${said([here[0], middle])} ${said(here)}`;
      } else if (after) {
        const toward = (other) => {
          const far = Math.hypot(other[0] - here[0], other[1] - here[1]) || 1;
          const near = Math.min(CORNER, far / 2) / far;
          return [here[0] + (other[0] - here[0]) * near, here[1] + (other[1] - here[1]) * near];
        };
        d += `L${said(toward(before))}Q${said(here)} ${said(toward(after))}`;
      } else d += `L${said(here)}`;
    }
    return d;
  }

  return { EM, place, path };
})();
