"use strict";
// The model plot: boxes that were laid out while building, coloured by the run that is chosen.
(() => {
  const { plot, selection } = window.onnxprof;
  if (!plot) return;
  const { data, ask, called, current } = window.onnxprof.model;
  const {
    NODE, SCOPE, REFERENCE, set, nameOf, heatOf, hottest, find, view, arrange, again, pan, start, centre, look,
    told, showTip, hideTip,
  } = plot;
  const at = (id) => document.getElementById(id);
  const stage = at("stage");

  let homes = [];
  let number = -1;

  // A scope that opens or folds stays where it was on the screen.
  const toggle = (box) => {
    const before = view();
    const place = [before.x + (box.x + box.w / 2) * before.k, before.y + box.y * before.k];
    if (plot.open.has(box.ref)) plot.open.delete(box.ref); else plot.open.add(box.ref);
    arrange();
    const now = find(box);
    pan(place[0] - before.x - (now.x + now.w / 2) * before.k, place[1] - before.y - now.y * before.k);
    choose(now);
  };
  const jump = (node) => {
    let changed = false;
    for (let scope = homes[node]; scope > 0; scope = plot.graph.scopes[scope].up) {
      changed ||= !plot.open.has(scope);
      plot.open.add(scope);
    }
    if (changed) arrange();
    const box = plot.scene.boxes.find((b) => b.ref === node && b.kind < SCOPE);
    centre(box);
    choose(box);
  };

  // A layer that is chosen here is chosen in the whole page, and the other way round; then the panel
  // tells of it, and nothing is laid over the drawing.
  let isQuiet = false;
  let hasTip = false;
  const layerOf = (box) => (box?.kind === NODE && plot.graph.nodes[box.ref][0] >= 0 ? nameOf(box.ref) : null);
  const hear = (name) => {
    const { scene, selected } = plot;
    if (!scene || name === (selected && layerOf(selected))) return;
    const node = name === null ? -1
      : plot.graph.nodes.findIndex(([row]) => row >= 0 && set()[row][0] === name);
    isQuiet = true;
    if (node >= 0) jump(node); else if (selected && layerOf(selected)) choose(null);
    isQuiet = false;
  };

  const choose = (box) => {
    plot.selected = box && { kind: box.kind, ref: box.ref, scope: box.scope };
    const name = box ? layerOf(box) : null;
    // in place of the step before: n and p go through many
    if (name !== selection.current() && (name || !box)) selection.choose(name, { push: selection.current() === null });
    again();
    if (!box) { hideTip(); return; }
    if (!isQuiet) at("plot-said").textContent = told(box).map((line) => line.join(" ").trim()).join("; ");
    hasTip = !isQuiet;
    if (hasTip) requestAnimationFrame(() => showTip(box)); else hideTip();
  };
  const act = (box) => {
    if (box.kind === SCOPE) toggle(box);
    else if (box.kind === REFERENCE) jump(box.ref);
    else choose(box);
  };

  const take = (found, wanted, run) => {
    if (current() !== run) return;
    plot.graph = found;
    number = wanted;
    homes = [];
    found.scopes.forEach(({ boxes }, scope) => boxes.forEach(([kind, ref]) => {
      if (kind < SCOPE) homes[ref] = scope;
    }));
    plot.open.clear();
    plot.selected = null;
    plot.heat = heatOf(run);
    const hot = run.fail ? null : hottest();
    arrange();
    start();
    if (hot) look(find(hot));
    plot.search();
    stage.classList.add("drawn");
    hear(selection.current());
  };
  // The room of the drawing before it comes, so that nothing below it moves; a small graph needs no
  // more than it takes, one that is folded has the style sheet's.
  const rooms = stage.dataset.rooms.split(" ").map(Number);
  const reserve = () => {
    const run = current();
    const room = rooms[data.tables[run.table].graph];
    const least = 16 * parseFloat(getComputedStyle(document.documentElement).fontSize);
    stage.style.height = room ? `${Math.max(least, room)}px` : "";
    for (const id of ["unfold", "fold"]) at(id).hidden = Boolean(room);
    at("plot-run").textContent = called(run);
  };
  const show = () => {
    const run = current();
    const wanted = data.tables[run.table].graph;
    if (plot.graph && wanted === number) {
      plot.heat = heatOf(run);
      again();
      if (plot.selected && find(plot.selected)) choose(find(plot.selected));
      return;
    }
    ask("graph", wanted, `plot/graph-${wanted}.js`).then((found) => take(found, wanted, run))
      .catch((error) => { at("plot-said").textContent = error.message; stage.dataset.trouble = error.message; });
  };

  Object.assign(plot, { choose, act, jump, hasTip: () => hasTip });
  selection.onChange(hear);
  document.addEventListener("onnxprof:shown", reserve);
  reserve();
  let begun = false;
  const begin = () => {
    if (begun) return;
    begun = true;
    show();
    document.addEventListener("onnxprof:shown", show);
  };
  new IntersectionObserver((entries, watcher) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    begin();
  }, { rootMargin: "200px" }).observe(stage);
  at("find-node").addEventListener("focus", begin);
})();
