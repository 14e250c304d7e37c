"use strict";
// Draws the charts of a model's page; plotly.js comes when the first of them comes into view. Where there
// is none, as in a report, they are those of paper.js.
(() => {
  const board = document.querySelector("[data-library]");
  if (!board) return;
  const { data, rowOf, three, percent, short, called } = window.onnxprof.model;
  const good = data.runs.filter((run) => !run.fail);
  const known = good.filter((run) => run.whole);
  const figures = [...board.querySelectorAll("[data-chart]")];
  const MOST_ALIVE = 4;
  const visible = new Set();
  let alive = [];
  let current = null;

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const palette = () => [1, 2, 3, 4, 5, 6, 7, 8].map((i) => css(`--c${i}`));
  // plotly reads a little markup in its texts: names are none.
  const plain = (text) =>
    text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const rounded = (value) => Number(value.toPrecision(4));
  const label = (sys) => plain(data.systems[sys].short);

  const axis = (more) => ({
    gridcolor: css("--rule"), linecolor: css("--faint"), zerolinecolor: css("--faint"),
    tickcolor: css("--faint"), automargin: true, fixedrange: false, ...more,
  });
  const batches = (runs) => {
    const sizes = [...new Set(runs.map((run) => run.batch))].sort((a, b) => a - b);
    return axis({
      type: "log", tickvals: sizes, ticktext: sizes.map(String),
    });
  };
  // Round values on a logarithmic axis: 1, 2, 5, 10 and so on.
  const logarithmic = (runs, value) => {
    const found = runs.map(value);
    const [low, high] = [Math.min(...found) / 1.3, Math.max(...found) * 1.3];
    const ticks = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e += 1) {
      for (const m of [1, 2, 5]) if (m * 10 ** e >= low && m * 10 ** e <= high) ticks.push(m * 10 ** e);
    }
    return {
      type: "log", range: [Math.log10(low), Math.log10(high)], tickvals: ticks,
      ticktext: ticks.map((tick) => tick.toLocaleString("en-US", { maximumSignificantDigits: 3 })),
    };
  };
  const ms = (run) => run.total / 1e6;

  // One line a system over batch sizes.
  const overBatch = (runs, value, yaxis) => {
    const systems = [...new Set(runs.map((run) => run.sys))];
    const traces = systems.map((sys) => {
      const own = runs.filter((run) => run.sys === sys);
      const y = own.map((run) => rounded(value(run)));
      return {
        type: "scatter", mode: "lines+markers", name: label(sys),
        x: own.map((run) => run.batch), y,
        text: own.map((run, i) => `${label(sys)}, batch ${run.batch}: ${three(y[i])}`),
        hoverinfo: "text", line: { color: palette()[sys % 8], width: 1.6 }, marker: { size: 5 },
      };
    });
    const more = { xaxis: batches(runs), yaxis: axis(yaxis), showlegend: systems.length > 1 };
    return { traces, layout: more, height: 320 + (systems.length > 3 ? 20 * (systems.length - 3) : 0) };
  };

  // Lines over an axis other than the batch come with their figure.
  const overAxis = (figure) => {
    const [name, lines] = JSON.parse(figure.dataset.lines);
    const sizes = [...new Set(lines.flatMap(([, points]) => points.map(([size]) => size)))];
    sizes.sort((a, b) => a - b);
    const traces = lines.map(([label, points], i) => ({
      type: "scatter", mode: "lines+markers", name: plain(label),
      x: points.map(([size]) => size), y: points.map(([, value]) => rounded(value)),
      text: points.map(([size, value]) => `${plain(label)}, ${plain(name)} ${size}: ${three(value)} ms`),
      hoverinfo: "text", line: { color: palette()[i % 8], width: 1.6 }, marker: { size: 5 },
    }));
    const xaxis = axis({ type: sizes[0] > 0 ? "log" : "linear", tickvals: sizes, ticktext: sizes.map(String) });
    const yaxis = axis({ rangemode: "tozero" });
    return {
      traces, layout: { xaxis, yaxis, showlegend: lines.length > 1 },
      height: 320 + (lines.length > 3 ? 20 * (lines.length - 3) : 0),
    };
  };

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
  const slowest = (run, n) => rowsOf(run).sort((a, b) => b.rank - a.rank).slice(0, n);

  // Bars from the top down; names may occur twice, so that they are labels, not values.
  const bars = (names, values, texts, more) => {
    const places = values.map((_, i) => i);
    return {
      traces: [{
        type: "bar", orientation: "h", y: places, x: values, text: texts, hoverinfo: "text",
        textposition: "none", marker: { color: css("--accent") }, ...more,
      }],
      layout: {
        xaxis: axis({ rangemode: "tozero" }),
        yaxis: axis({
          tickvals: places, ticktext: names, autorange: "reversed", showgrid: false, ticklen: 4,
          zeroline: false,
        }),
        bargap: 0.35, showlegend: false,
      },
      height: 70 + 21 * Math.max(values.length, 2),
    };
  };

  const operators = (run) => {
    const sums = new Map();
    for (const row of rowsOf(run)) {
      const [ns, count] = sums.get(row.op) ?? [0, 0];
      sums.set(row.op, [ns + row.m, count + 1]);
    }
    const sorted = [...sums].sort((a, b) => b[1][0] - a[1][0]);
    const rest = sorted.splice(12);
    if (rest.length) {
      sorted.push([`${rest.length} other${rest.length === 1 ? "" : "s"}`, [0, 1].map((i) => rest.reduce((s, e) => s + e[1][i], 0))]);
    }
    return bars(
      sorted.map(([op]) => plain(short(op, 28))),
      sorted.map(([, [ns]]) => rounded(ns / 1e6)),
      sorted.map(([op, [ns, count]]) => `${plain(op)}: ${three(ns / 1e6)} ms, `
        + `${percent(ns / run.total)} %, ${count} step${count === 1 ? "" : "s"}`),
    );
  };

  // The bar of the layer that is chosen, or of its step.
  const { selection } = window.onnxprof;
  const lit = (rows) => {
    const name = selection.current();
    const names = new Set(name === null ? [] : selection.step(name));
    return rows.map((row) => css(row.layer && names.has(row.name) ? "--c2" : "--accent"));
  };
  const slow = (run) => {
    const rows = slowest(run, 20);
    const spread = rows.every((row) => row.lo !== null && row.hi !== null) ? {
      error_x: {
        type: "data", symmetric: false, color: css("--soft"), thickness: 1, width: 3,
        array: rows.map((row) => rounded(Math.max(0, row.hi - row.m) / 1e6)),
        arrayminus: rows.map((row) => rounded(Math.max(0, row.m - row.lo) / 1e6)),
      },
    } : {};
    return bars(
      rows.map((row) => plain(short(row.name, 34))), rows.map((row) => rounded(row.m / 1e6)),
      rows.map((row) => `${plain(row.name)}, ${plain(row.op)}: ${three(row.m / 1e6)} ms, `
        + `${percent(row.share)} %, ${plain(row.status)}`),
      { ...spread, marker: { color: lit(rows) }, customdata: rows.map((row) => (row.layer ? row.name : "")) });
  };

  // Of the slowest steps of the chosen run, the time per item at every batch size.
  const scaling = (run) => {
    const own = good.filter((other) => other.sys === run.sys);
    const found = own.map((other) => new Map(rowsOf(other).map((row) => [row.name, row.m])));
    const traces = slowest(run, 8).map((row, k) => {
      const there = own.map((other, i) => [other.batch, found[i].get(row.name)]).filter((p) => p[1]);
      const y = there.map(([batch, ns]) => rounded(ns / 1e3 / batch));
      return {
        type: "scatter", mode: "lines+markers", name: plain(short(row.name, 34)),
        x: there.map(([batch]) => batch), y,
        text: there.map(([batch], i) => `${plain(row.name)}, batch ${batch}: ${three(y[i])} µs per item`),
        hoverinfo: "text", line: { color: palette()[k], width: 1.6 }, marker: { size: 5 },
      };
    });
    const layout = {
      xaxis: batches(own), yaxis: axis({ rangemode: "tozero" }), showlegend: true,
    };
    return { traces, layout, height: 300 + 19 * traces.length };
  };

  const pair = ["faster", "slower"].map((id) => document.getElementById(id));
  const speedup = () => {
    const [fast, late] = pair.map((select) => Number(select.value));
    const of = (sys, batch) => known.find((run) => run.sys === sys && run.batch === batch);
    const both = known.filter((run) => run.sys === fast && of(late, run.batch))
      .map((run) => [run.batch, rounded((of(late, run.batch).total / run.total - 1) * 100)]);
    const made = bars([], both.map((p) => p[1]),
      both.map(([batch, y]) => `batch ${batch}: ${three(y)} % ${y < 0 ? "(slower)" : "faster"}`), {});
    const places = both.map((_, i) => i);
    Object.assign(made.traces[0], { orientation: "v", x: places, y: made.traces[0].x });
    made.layout.xaxis = axis({
      tickvals: places, ticktext: both.map(([batch]) => String(batch)), showgrid: false,
      zeroline: false, range: [-0.6, Math.max(both.length, 4) - 0.4],
    });
    made.layout.yaxis = axis({ ticksuffix: " %" });
    made.height = 300;
    if (!both.length) made.layout.annotations = [{
      text: "These two have no batch size in common.", showarrow: false, xref: "paper",
      yref: "paper", x: 0.5, y: 0.5,
    }];
    return made;
  };

  const charts = {
    latency: () => overBatch(known, ms, logarithmic(known, ms)),
    throughput: () => overBatch(known, (run) => (run.batch * 1e9) / run.total, { rangemode: "tozero" }),
    operators, slowest: slow, scaling, speedup, over: (_, figure) => overAxis(figure),
    energy: () => overBatch(good.filter((r) => r.mj), (r) => r.mj / r.batch, { rangemode: "tozero" }),
    power: () => overBatch(good.filter((r) => r.w), (r) => r.w, { rangemode: "tozero" }),
    memory: () => overBatch(good.filter((r) => r.mib), (r) => r.mib, { rangemode: "tozero" }),
  };

  let loading = null;
  const library = () => loading ??= window.onnxprof.load(board.dataset.library).then(
    () => window.Plotly, () => { throw new Error("the chart library could not be loaded"); });

  const basis = () => ({
    font: { family: css("--sans"), size: 12, color: css("--soft") },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 48, r: 14, t: 10, b: 36 }, hovermode: "closest",
    legend: { orientation: "h", y: -0.12, yanchor: "top", font: { size: 12 } },
    hoverlabel: {
      bgcolor: css("--page"), bordercolor: css("--faint"), align: "left", namelength: -1,
      font: { color: css("--ink"), family: css("--sans"), size: 12 },
    },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
  });

  const listen = (canvas) => canvas.on("plotly_click", ({ points }) => {
    const name = points[0].data.customdata?.[points[0].pointNumber];
    if (name) selection.choose(name);
  });

  const draw = (figure) => {
    if (!current || current.fail) return;
    const made = charts[figure.dataset.chart](current, figure);
    const canvas = figure.querySelector(".canvas");
    const which = figure.querySelector(".which");
    if (which) which.textContent = called(current);
    alive = [...alive.filter((other) => other !== figure), figure];
    if (!board.dataset.library) {
      canvas.replaceChildren(window.onnxprof.charts.picture(figure, made));
      figure.classList.add("drawn");
      return;
    }
    canvas.style.height = `${made.height}px`;
    library().then((plotly) => {
      plotly.react(canvas, made.traces, { ...basis(), ...made.layout, height: made.height }, {
        displayModeBar: false, responsive: true, showTips: false,
      });
      if (!figure.classList.contains("drawn")) listen(canvas);
      figure.classList.add("drawn");
    }).catch((error) => { canvas.textContent = `No chart: ${error.message}.`; });
  };

  // What was drawn longest ago goes first; what is in view stays.
  const trim = () => {
    const idle = alive.filter((figure) => !visible.has(figure));
    idle.slice(0, Math.max(0, alive.length - MOST_ALIVE)).forEach(purge);
  };

  const purge = (figure) => {
    alive = alive.filter((other) => other !== figure);
    if (window.Plotly) window.Plotly.purge(figure.querySelector(".canvas"));
    figure.classList.remove("drawn");
  };

  const redraw = (which) => alive.filter(which).forEach(draw);

  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) visible.add(target); else visible.delete(target);
      if (isIntersecting && !alive.includes(target)) draw(target);
    }
    trim();
  }, { rootMargin: "80px" });

  document.addEventListener("onnxprof:shown", () => {
    current = window.onnxprof.model.current();
    for (const figure of figures) figure.classList.toggle("idle", Boolean(current.fail));
    redraw((figure) => figure.classList.contains("of-run"));
  });
  selection.onChange(() => redraw((figure) => figure.dataset.chart === "slowest"));
  for (const select of pair.filter(Boolean)) {
    select.addEventListener("change", () => redraw((f) => f.dataset.chart === "speedup"));
  }
  if (pair[0]) {
    // The two with the most batch sizes in common; of them the one that is ahead first.
    const common = new Map();
    for (const x of known) for (const y of known) {
      if (x.batch !== y.batch || x.sys === y.sys) continue;
      const key = `${x.sys} ${y.sys}`;
      const [count, lead] = common.get(key) ?? [0, 0];
      common.set(key, [count + 1, lead + Math.log(y.total / x.total)]);
    }
    const best = [...common].sort(([, p], [, q]) => q[0] - p[0] || q[1] / q[0] - p[1] / p[0])[0];
    [pair[0].value, pair[1].value] = best[0].split(" ");
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw(() => true));
  current = window.onnxprof.model.current();
  figures.forEach((figure) => watcher.observe(figure));
  window.onnxprof.charts = {
    figures, palette, of: (figure) => (current && !current.fail ? charts[figure.dataset.chart](current, figure) : null),
  };
})();
