"use strict";
// What the parts of the model plot share: the graph, and what its boxes cost in the run that is shown.
(() => {
  if (!document.getElementById("stage")) return;
  const { data, homesOf } = window.onnxprof.model;
  // Kinds of boxes: as onnxprof/publish/drawing/plot.py has them.
  const [NODE, INPUT, SCOPE, REFERENCE] = [0, 1, 2, 3];
  // Shares from which a colour counts; the legend in the page names them.
  const SHARES = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4];

  const plot = {
    // As the builder laid it out; null until it has come.
    graph: null,
    // Where everything is with the scopes that are open.
    scene: null,
    // The run whose times colour the boxes, and the row of each layer's time.
    heat: null,
    selected: null,
    hits: new Set(),
    open: new Set(),
  };

  // What each layer of the run costs: its step's row, by the layer's number.
  const heatOf = (run) => ({ rows: homesOf(run), run });
  const homeOf = (node) => plot.heat.rows.get(plot.graph.nodes[node][0]);
  const timeOf = (node) => {
    const home = homeOf(node);
    return home === undefined ? null : plot.heat.run.m[home];
  };
  const classOf = (ns) => {
    if (ns === null || !plot.heat.run.total) return "cold";
    const share = ns / plot.heat.run.total;
    return `h${SHARES.filter((least) => share >= least).length}`;
  };
  const set = () => data.sets[data.tables[plot.heat.run.table].set];
  const shapes = () => data.tables[plot.heat.run.table].shapes;
  const nameOf = (node) => {
    const [row, , made] = plot.graph.nodes[node];
    return row < 0 ? plot.graph.tensors[made[0]] : set()[row][0];
  };
  const shapeOf = (node) => {
    const made = plot.graph.nodes[node][2];
    return made.length ? shapes()[made[0]] : "";
  };
  const nodesOf = (scope) => plot.graph.scopes[scope].boxes.flatMap(([kind, ref]) =>
    kind === SCOPE ? nodesOf(ref) : kind === NODE ? [ref] : []);
  // A step's time stands on its first layer, as in the table.
  const isHome = (node) => {
    const { rows, run } = plot.heat;
    const row = plot.graph.nodes[node][0];
    return rows.has(row) && run.l[rows.get(row)] === row;
  };
  // Steps that begin in a scope, so that the scopes of a drawing add up.
  const sumOf = (scope) => {
    let sum = null;
    for (const node of nodesOf(scope)) {
      if (isHome(node)) sum = (sum ?? 0) + (timeOf(node) ?? 0);
    }
    return sum;
  };

  const same = (a, b) => a.kind === b.kind && a.ref === b.ref && a.scope === b.scope;
  const find = (wanted) => plot.scene.boxes.find((box) => same(box, wanted));

  // Opens the scope that takes longest, and so on within it until a layer takes longer than any.
  const hottest = () => {
    const time = ([kind, ref]) => (kind === SCOPE ? sumOf(ref) : kind === NODE && isHome(ref) ? timeOf(ref) : 0) ?? 0;
    for (let scope = 0; ;) {
      const { boxes } = plot.graph.scopes[scope];
      const times = boxes.map(time);
      const place = times.indexOf(Math.max(...times));
      if (place < 0 || !times[place]) return null;
      const [kind, ref] = boxes[place];
      if (kind !== SCOPE) return { kind, ref, scope };
      plot.open.add(ref);
      scope = ref;
    }
  };

  Object.assign(plot, {
    NODE, INPUT, SCOPE, REFERENCE, SHARES, heatOf, homeOf, timeOf, classOf, set, shapes, nameOf, shapeOf,
    nodesOf, isHome, sumOf, same, find, hottest,
  });
  window.onnxprof.plot = plot;
})();
