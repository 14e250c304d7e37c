"use strict";
// Charts of the steps of the run that the reader chose: by operator, and the slowest.
(() => {
  const { chartStyle, figures, model, selection } = window.onnxprof;
  const { bars, css, plain, room, rounded } = chartStyle;
  const { apart } = figures;
  const { data, rowOf, three, percent } = model;

  const rowsOf = (run) => {
    // A step that starts with a layer that only moves data is one of what it computes.
    const kinds = new Map(run.k);
    const doubted = new Set(run.d);
    return run.m.slice(0, -run.sums).map((_, i) => {
      const row = rowOf(run, i);
      row.rank = doubted.has(i) ? row.lo : row.m;
      return kinds.has(i) ? { ...row, op: data.names[kinds.get(i)] } : row;
    }).filter((row) => row.m);
  };
  const longest = (run, n) => rowsOf(run).sort((a, b) => b.rank - a.rank).slice(0, n);
  const others = (count) => `${count} other${count === 1 ? "" : "s"}`;

  const operators = (run) => {
    const sums = new Map();
    for (const row of rowsOf(run)) {
      const [ns, count] = sums.get(row.op) ?? [0, 0];
      sums.set(row.op, [ns + row.m, count + 1]);
    }
    const sorted = [...sums].sort((a, b) => b[1][0] - a[1][0]);
    const rest = sorted.splice(12);
    if (rest.length) {
      sorted.push([others(rest.length), [0, 1].map((i) => rest.reduce((s, e) => s + e[1][i], 0))]);
    }
    return bars(
      apart(sorted.map(([op]) => op), 28).map(plain),
      sorted.map(([, [ns]]) => rounded(ns / 1e6)),
      sorted.map(([op, [ns, count]]) => `${plain(op)}: ${three(ns / 1e6)} ms, `
        + `${percent(ns / run.total)} %, ${count} step${count === 1 ? "" : "s"}`),
    );
  };

  // The bar of the layer that is chosen, or of its step.
  const lit = (rows) => {
    const name = selection.current();
    const names = new Set(name === null ? [] : selection.step(name));
    return rows.map((row) => css(row.layer && names.has(row.name) ? "--c2" : "--accent"));
  };
  const slowest = (run) => {
    const rows = longest(run, 20);
    const spread = rows.every((row) => row.lo !== null && row.hi !== null) ? {
      error_x: {
        type: "data", symmetric: false, color: css("--soft"), thickness: 1, width: 3,
        array: rows.map((row) => rounded(Math.max(0, row.hi - row.m) / 1e6)),
        arrayminus: rows.map((row) => rounded(Math.max(0, row.m - row.lo) / 1e6)),
      },
    } : {};
    return bars(
      apart(rows.map((row) => row.name), room()).map(plain), rows.map((row) => rounded(row.m / 1e6)),
      rows.map((row) => `${plain(row.name)}, ${plain(row.op)}: ${three(row.m / 1e6)} ms, `
        + `${percent(row.share)} %, ${plain(row.status)}`),
      { ...spread, marker: { color: lit(rows) }, customdata: rows.map((row) => (row.layer ? row.name : "")) });
  };

  window.onnxprof.chartSteps = { rowsOf, longest, others, every: { operators, slowest } };
})();
