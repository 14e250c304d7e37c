"use strict";
// Where everything of a model plot is once some scopes are open: boxes move apart, edges follow.
(() => {
  // A layer, an input, a folded scope, a reference: as onnxprof/publish/plot.py has them.
  const SIZES = [[232, 42], [232, 30], [232, 42], [160, 20]];
  const SCOPE = 2;
  const [PAD, HEAD] = [14, 28];

  // Moves what lies behind a box that grows; boxes in one line with it share the room.
  const spread = (grown) => {
    const lines = new Map();
    for (const line of grown) {
      const key = line[0] + line[1];
      if (!(lines.get(key)?.[2] >= line[2])) lines.set(key, line);
    }
    const all = [...lines.values()];
    return (v) => all.reduce((sum, [low, high, more]) =>
      sum + more * Math.min(1, Math.max(0, (v - low) / (high - low))), v);
  };

  const lay = (graph, open, scope) => {
    const { boxes, edges, w, h } = graph.scopes[scope];
    const inner = boxes.map(([kind, ref]) => (kind === SCOPE && open.has(ref) ? lay(graph, open, ref) : null));
    const size = boxes.map(([kind], i) => inner[i]
      ? [Math.max(inner[i].w, 204) + 2 * PAD, inner[i].h + HEAD + PAD] : SIZES[kind]);
    const grown = (axis) => boxes.flatMap((box, i) => (inner[i]
      ? [[box[2 + axis], box[2 + axis] + SIZES[SCOPE][axis], size[i][axis] - SIZES[SCOPE][axis]]]
      : []));
    const [fx, fy] = [spread(grown(0)), spread(grown(1))];
    const placed = boxes.map(([kind, ref, x, y], i) => {
      const [width, height] = SIZES[kind];
      return {
        kind, ref, scope, inner: inner[i], w: size[i][0], h: size[i][1],
        x: fx(x + width / 2) - size[i][0] / 2, y: fy(y + height / 2) - size[i][1] / 2,
        was: [x + width / 2, y + height / 2],
      };
    });
    const end = (box, x, y) => [
      box.x + box.w / 2 + x - box.was[0], y > box.was[1] ? box.y + box.h : box.y];
    const drawnEdges = edges.map(([a, b, ...flat]) => {
      const points = [];
      for (let i = 0; i < flat.length; i += 2) points.push([fx(flat[i]), fy(flat[i + 1])]);
      points.unshift(end(placed[a], flat[0], flat[1]));
      points.push(end(placed[b], flat[flat.length - 2], flat[flat.length - 1]));
      return { a: placed[a], b: placed[b], points };
    });
    return { w: fx(w), h: fy(h), boxes: placed, edges: drawnEdges };
  };

  // All boxes and edges in one system of coordinates; open scopes before what they hold.
  const flatten = (laid, dx, dy, into) => {
    for (const box of laid.boxes) {
      box.x += dx;
      box.y += dy;
      into.boxes.push(box);
      if (box.inner) {
        flatten(box.inner, box.x + (box.w - box.inner.w) / 2, box.y + HEAD, into);
      }
    }
    for (const edge of laid.edges) {
      const points = edge.points.map(([x, y]) => [x + dx, y + dy]);
      const xs = points.map((p) => p[0]);
      const ys = points.map((p) => p[1]);
      into.edges.push({
        a: edge.a, b: edge.b, points, x: Math.min(...xs), y: Math.min(...ys),
        w: Math.max(...xs) - Math.min(...xs), h: Math.max(...ys) - Math.min(...ys),
      });
    }
    return into;
  };

  window.onnxprof.scene = (graph, open) => {
    const laid = lay(graph, open, 0);
    const found = flatten(laid, 0, 0, { boxes: [], edges: [], w: laid.w, h: laid.h });
    found.boxes.forEach((box, i) => { box.i = i; });
    return found;
  };
})();
