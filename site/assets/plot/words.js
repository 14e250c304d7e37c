"use strict";
// What the model plot says of a box: in the tooltip beside it, and to who does not see it.
(() => {
  const { plot } = window.onnxprof;
  if (!plot) return;
  const { rowOf, three, percent, unitFor, short, el, wholeOf } = window.onnxprof.model;
  const { SCOPE, REFERENCE, set, shapes, nameOf, nodesOf, sumOf, view } = plot;
  const stage = document.getElementById("stage");
  const tip = el("div", "tip");
  tip.hidden = true;
  stage.append(tip);

  // Words about a box: lines of [what, value]; the first is its heading.
  const told = (box) => {
    if (box.kind === SCOPE) return toldScope(box);
    const { graph } = plot;
    const [row, read, made] = graph.nodes[box.ref];
    const lines = [[row < 0 ? "input" : set()[row][1], nameOf(box.ref)]];
    if (box.kind === REFERENCE) return [["from", nameOf(box.ref)], ["", "Enter or a click goes there."]];
    if (row >= 0) lines.push(...toldTime(row));
    const some = (list) => [...list.slice(0, 6), ...(list.length > 6 ? [null] : [])];
    const tensor = (word) => (t) => (t === null ? ["", "…"]
      : [word, `${short(graph.tensors[t], 36)}  ${short(shapes()[t], 40)}`.trim()]);
    return [...lines, ...some(read).map(tensor("reads")), ...some(made).map(tensor("makes"))];
  };
  const toldTime = (row) => {
    const { run, rows } = plot.heat;
    if (run.fail) return [["time", "this measurement failed"]];
    const home = rows.get(row);
    if (home === undefined) return [["time", "none: a constant"]];
    const its = rowOf(run, home);
    if (its.m === null) return [["time", its.status]];
    const [unit, ns] = unitFor(run.total);
    const count = [...rows.values()].filter((other) => other === home).length;
    const covers = count > 1 ? ` for ${count} layers` : "";
    const spreads = its.lo === null ? "" : ` (p5 ${three(its.lo / ns)}, p95 ${three(its.hi / ns)})`;
    return [
      ["time", `${three(its.m / ns)} ${unit}${covers}${spreads}`],
      ["share", `${percent(its.share ?? 0)} % of ${wholeOf(run)}`],
      ["step", short(its.step, 60)],
      ["its layers", run.i.includes(home) ? "inferred from names and structure" : "exact"],
    ];
  };
  const toldScope = (box) => {
    const { run } = plot.heat;
    const ns = sumOf(box.ref);
    const [unit, one] = unitFor(run.total || 1);
    return [
      ["scope", plot.graph.scopes[box.ref].name],
      ["layers", String(nodesOf(box.ref).length)],
      ...(ns === null ? [] : [["time", `${three(ns / one)} ${unit} in steps that begin here`],
        ["share", `${percent(ns / run.total)} % of ${wholeOf(run)}`]]),
      ["", box.inner ? "Enter or a click folds it." : "Enter or a click opens it."],
    ];
  };

  const showTip = (box) => {
    const { k, x: dx, y: dy } = view();
    const [[kind, name], ...rest] = told(box);
    const list = el("dl");
    for (const [what, value] of rest) list.append(el("dt", "", what), el("dd", "", value));
    tip.replaceChildren(el("p", "", el("b", "", name), " ", el("span", "soft", kind)), list);
    tip.hidden = false;
    const right = dx + (box.x + box.w) * k + 10;
    const left = dx + box.x * k - 10 - tip.offsetWidth;
    const x = right + tip.offsetWidth <= stage.clientWidth ? right : Math.max(4, left);
    const y = dy + box.y * k;
    tip.style.left = `${Math.max(4, Math.min(x, stage.clientWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${Math.max(4, Math.min(y, stage.clientHeight - tip.offsetHeight - 4))}px`;
  };
  const hideTip = () => { tip.hidden = true; };

  Object.assign(plot, { told, showTip, hideTip });
})();
