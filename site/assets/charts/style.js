"use strict";
// What all charts of a model's page share: colours, axes, points by grade, bars.
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const palette = () => [1, 2, 3, 4, 5, 6, 7, 8].map((i) => css(`--c${i}`));
  // plotly reads a little markup in its texts: names are none.
  const plain = (text) =>
    text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const rounded = (value) => Number(value.toPrecision(4));

  const axis = (more) => ({
    gridcolor: css("--rule"), linecolor: css("--faint"), zerolinecolor: css("--faint"),
    tickcolor: css("--faint"), automargin: true, fixedrange: false, tickformat: ",~r", ...more,
  });
  // Round values on a logarithmic axis: 1, 2, 5, 10 and so on; powers of ten alone where these are many.
  const logarithmic = (found) => {
    const [low, high] = [Math.min(...found) / 1.3, Math.max(...found) * 1.3];
    const marks = high / low > 3e3 ? [1] : [1, 2, 5];
    const ticks = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e += 1) {
      for (const m of marks) if (m * 10 ** e >= low && m * 10 ** e <= high) ticks.push(m * 10 ** e);
    }
    return {
      type: "log", range: [Math.log10(low), Math.log10(high)], tickvals: ticks,
      ticktext: ticks.map((tick) => tick.toLocaleString("en-US", { maximumSignificantDigits: 3 })),
    };
  };

  // Points by the grade of their run: filled, half or hollow; a cross where its outputs are wrong.
  const points = (runs, color) => {
    const grades = runs.map((run) => (run.wrong ? "wrong" : run.grade ?? ""));
    const gradient = grades.map((grade) => (grade === "rough" ? "horizontal" : "none"));
    return {
      meta: { grades },
      marker: {
        size: grades.map((grade) => (grade === "wrong" ? 9 : 7)), opacity: 1,
        symbol: grades.map((grade) => (grade === "wrong" ? "x-thin" : "circle")),
        color: grades.map((grade) => (grade === "noise" ? css("--page") : color)),
        line: { color, width: grades.map((grade) => (grade === "wrong" ? 2.2 : 1.4)) },
        gradient: { type: gradient, color: css("--page") },
      },
    };
  };
  const trust = (run) => [run.wrong ? "wrong outputs" : run.grade, run.known]
    .filter(Boolean).map((word) => `; ${plain(word)}`).join("");

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
  // Letters that a name may take beside its bar.
  const room = () => (matchMedia("(max-width: 44rem)").matches ? 24 : 34);

  window.onnxprof.chartStyle = {
    css, palette, plain, rounded, axis, logarithmic, points, trust, bars, room,
  };
})();
