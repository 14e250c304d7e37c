"use strict";
// The boxes, blocks and edges of the model plot as SVG.
(() => {
  const { plot } = window.onnxprof;
  if (!plot) return;
  const { percent, short, svg } = window.onnxprof.model;
  const {
    NODE, INPUT, SCOPE, REFERENCE, homeOf, timeOf, classOf, set, nameOf, shapeOf, nodesOf, isHome, sumOf, same,
  } = plot;

  const round = (value) => Math.round(value * 10) / 10;
  const path = (points) => `M${points.map(([x, y]) => `${round(x)} ${round(y)}`).join(" ")}`;
  const text = (cls, x, y, content) => {
    const node = svg("text", { class: cls, x, y });
    node.textContent = content;
    return node;
  };
  const plainBox = (box, cls) => svg("rect", {
    class: cls, x: round(box.x), y: round(box.y), width: round(box.w), height: round(box.h),
    rx: box.kind === INPUT ? 15 : 0, "data-i": box.i,
  });
  const shareText = (ns) => {
    const { total } = plot.heat.run;
    return ns === null || !total ? "" : `${percent(ns / total)} %`;
  };

  const drawNode = (box) => {
    const layer = set()[plot.graph.nodes[box.ref][0]];
    const shape = short(shapeOf(box.ref), 26);
    const share = shareText(timeOf(box.ref));
    return [
      text("op", 10, 18, short(layer[1], Math.max(6, 29 - shape.length))),
      text("end", 224, 18, shape),
      text("name", 10, 34, short(layer[0], share ? 30 : 37)),
      text("end", 224, 34, isHome(box.ref) ? share : ""),
    ];
  };
  const drawInput = (box) => [
    text("name", 14, 19, short(nameOf(box.ref), 20)), text("end", 218, 19, short(shapeOf(box.ref), 18)),
  ];
  const drawScope = (box) => {
    const scope = plot.graph.scopes[box.ref];
    const share = shareText(box.inner ? null : sumOf(box.ref));
    const found = hitsIn(box.ref);
    const layers = `${nodesOf(box.ref).length} layers${found ? `, ${found} found` : ""}`;
    return [
      text("op", 10, 18, `${box.inner ? "\u2212" : "+"} ${short(scope.name, 29)}`),
      ...(box.inner ? [] : [text("name", 22, 34, layers), text("end", 224, 34, share)]),
    ];
  };
  const drawReference = (box) => [text("name", 6, 13.5, `\u2190 ${short(nameOf(box.ref), 23)}`)];
  const KINDS = ["node", "input", "scope", "reference"];
  const DRAW = [drawNode, drawInput, drawScope, drawReference];

  const heatClass = (box) => {
    if (box.kind === NODE) return classOf(timeOf(box.ref));
    if (box.kind === SCOPE && !box.inner) return classOf(sumOf(box.ref));
    return "";
  };
  // What a search finds, a folded scope with such a layer among it.
  const hitsIn = (scope) => (plot.hits.size ? nodesOf(scope).filter((node) => plot.hits.has(node)).length : 0);
  const isHit = (box) => (box.kind === SCOPE ? !box.inner && hitsIn(box.ref) > 0
    : box.kind !== REFERENCE && plot.hits.has(box.ref));
  const stepOf = (box) => (box.kind === NODE ? homeOf(box.ref) : undefined);

  const group = (box, plain, merged) => {
    const { selected } = plot;
    const cls = [KINDS[box.kind], heatClass(box), box.inner ? "opened" : "",
      merged.has(box) ? "merged" : "", selected && same(box, selected) ? "selected" : "",
      isHit(box) ? "hit" : ""];
    const g = svg("g", { class: cls.filter(Boolean).join(" "), "data-i": box.i });
    g.append(plainBox(box, "b"));
    if (box.kind === SCOPE && !box.inner) {
      g.append(svg("path", {
        class: "stack", d: `M${round(box.x + 4)} ${round(box.y + box.h + 3)}h${box.w - 8}`,
      }));
    }
    if (!plain) {
      const words = svg("g", { transform: `translate(${round(box.x)} ${round(box.y)})` });
      words.append(...DRAW[box.kind](box));
      g.append(words);
    }
    return g;
  };

  // Layers of one step that follow each other are one block: an outline around all of them.
  const blocks = (edges) => {
    const links = edges.filter(({ a, b }) => stepOf(a) !== undefined && stepOf(a) === stepOf(b)
      && plot.heat.run.m[stepOf(a)] !== null);
    const steps = new Map();
    for (const edge of links) {
      if (!steps.has(stepOf(edge.a))) steps.set(stepOf(edge.a), { boxes: new Set(), links: [] });
      const step = steps.get(stepOf(edge.a));
      step.boxes.add(edge.a).add(edge.b);
      step.links.push(edge);
    }
    return steps;
  };
  // Straight ones are as wide as their boxes, others a thick line; to the top of the next column goes a
  // thin one, since it is longer than the block.
  const goesUp = ({ a, b }) => b.y < a.y;
  const isStraight = ({ a, b }) => a.x === b.x && a.w === b.w && b.y > a.y;
  const corners = (x, y, w, h) => `M${round(x)} ${round(y)}h${round(w)}v${round(h)}h${round(-w)}z`;
  const drawBlock = ({ boxes, links }, home) => {
    const g = svg("g", { class: `block ${classOf(plot.heat.run.m[home])}` });
    const areas = [...boxes].map((box) => corners(box.x, box.y, box.w, box.h))
      .concat(links.filter(isStraight).map(({ a, b }) => corners(a.x, a.y, a.w, b.y + b.h - a.y)))
      .join("");
    const drawn = (fits) => links.filter(fits).map((link) => path(link.points)).join("");
    const lines = drawn((link) => !isStraight(link) && !goesUp(link));
    const wraps = drawn(goesUp);
    if (wraps) g.append(svg("path", { class: "outline wraps", d: wraps }));
    for (const cls of ["outline", "inside"]) {
      g.append(svg("path", { class: cls, d: areas }));
      if (lines) g.append(svg("path", { class: `${cls} thick`, d: lines }));
    }
    return g;
  };

  const meets = (area) => (it) => it.x <= area.x1 && it.x + it.w >= area.x0
    && it.y <= area.y1 && it.y + it.h >= area.y0;

  // Everything that meets an area; `plain` without words, for a drawing too small to be read.
  const contents = (where, plain) => {
    const { scene, selected } = plot;
    const boxes = scene.boxes.filter(meets(where));
    const edges = scene.edges.filter(meets(where));
    const steps = blocks(edges);
    const merged = new Set([...steps.values()].flatMap((step) => [...step.boxes]));
    const near = selected ? scene.edges.filter(({ a, b }) => same(a, selected) || same(b, selected)) : [];
    return [
      ...boxes.filter((box) => box.inner).map((box) => group(box, plain, merged)),
      svg("path", { class: "edges", d: edges.map((edge) => path(edge.points)).join("") }),
      svg("path", { class: "edges near", d: near.map((edge) => path(edge.points)).join("") }),
      ...[...steps].map(([home, step]) => drawBlock(step, home)),
      ...boxes.filter((box) => !box.inner).map((box) => group(box, plain, merged)),
    ];
  };

  Object.assign(plot, { round, contents });
})();
