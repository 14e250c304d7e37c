"use strict";
// Draws the charts of a model's page; plotly.js comes when the first of them comes into view. Where there
// is none, as in a report, they are those of paper.js.
(() => {
  const board = document.querySelector("[data-library]");
  if (!board) return;
  const { address, axes, chartPairs, chartStyle, chartSteps, chartsOver, selection } = window.onnxprof;
  const { called } = window.onnxprof.model;
  const { css, palette } = chartStyle;
  const figures = [...board.querySelectorAll("[data-chart]")];
  const MOST_ALIVE = 4;
  const visible = new Set();
  let alive = [];
  let current = null;
  let line = null;

  const over = { ...chartsOver.every, speedup: chartPairs.speedup };
  const of = (figure) => {
    const key = figure.dataset.chart;
    return over[key] ? over[key](axes.current(), current) : chartSteps.every[key](current);
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
    if (!current || current.fail || figure.hidden) return;
    const made = of(figure);
    const canvas = figure.querySelector(".canvas");
    const which = figure.querySelector(".which");
    if (which) which.textContent = made.which ?? called(current);
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

  // Titles and charts of the axis; those without figures over it are not there.
  const lay = () => {
    const isPaired = chartPairs.offer(axes.current());
    for (const figure of figures) {
      const title = axes.titled(figure.dataset.title);
      figure.querySelector(".title").textContent = title;
      figure.querySelector(".canvas").setAttribute("aria-label", title);
      const key = figure.dataset.chart;
      figure.hidden = key === "speedup" ? !isPaired : !chartsOver.isKnown(key, axes.current());
      if (figure.hidden && alive.includes(figure)) purge(figure);
    }
  };

  document.addEventListener("onnxprof:shown", () => {
    current = window.onnxprof.model.current();
    for (const figure of figures) figure.classList.toggle("idle", Boolean(current.fail));
    // the parts of a line are those of all its sizes
    const own = axes.lineOf(current);
    redraw((figure) => figure.classList.contains("of-run") && (figure.dataset.chart !== "stack" || own !== line));
    line = own;
  });
  selection.onChange(() => redraw((figure) => figure.dataset.chart === "slowest"));
  for (const select of chartPairs.pair) {
    select.addEventListener("change", () => redraw((f) => f.dataset.chart === "speedup"));
  }
  axes.onChange(() => {
    lay();
    redraw((figure) => Boolean(over[figure.dataset.chart]));
  });
  const by = document.getElementById("stacked-by");
  const asked = () => (address.get("by") === "step" ? "step" : "operator");
  by?.addEventListener("change", () => {
    address.set({ by: by.value === "step" ? "step" : null }, { push: true });
    redraw((figure) => figure.dataset.chart === "stack");
  });
  address.onChange(() => {
    if (!by || by.value === asked()) return;
    by.value = asked();
    redraw((figure) => figure.dataset.chart === "stack");
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw(() => true));
  current = window.onnxprof.model.current();
  line = axes.lineOf(current);
  if (by) by.value = asked();
  lay();
  figures.forEach((figure) => watcher.observe(figure));
  window.onnxprof.charts = {
    figures, palette, css, of: (figure) => (current && !current.fail && !figure.hidden ? of(figure) : null),
  };
})();
