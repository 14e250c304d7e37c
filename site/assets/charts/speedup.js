"use strict";
// How much faster one line of the axis is than another, at the sizes that both have.
(() => {
  const { axes, chartStyle, model } = window.onnxprof;
  const { css, rounded, axis, bars } = chartStyle;
  const { three, data } = model;
  const pair = ["faster", "slower"].map((id) => document.getElementById(id));
  const knownOf = (line) => line.points.filter(({ run }) => run.whole);
  const common = (a, b) => knownOf(a).flatMap((mine) => {
    const theirs = knownOf(b).find(({ size }) => size === mine.size);
    return theirs ? [[mine, theirs]] : [];
  });

  // Runs are set against each other at one number of threads, of like settings and batches otherwise; a
  // number of threads below zero does not matter.
  const systemOf = ({ run }) => data.systems[run.sys];
  const sameThreads = (a, b) => a.threads === b.threads || a.threads < 0 || b.threads < 0;
  const threads = ({ threads: n }) => (n ? `${n} thread${n === 1 ? "" : "s"}` : "threads not known");
  const unlike = ([mine, theirs]) => {
    const [a, b] = [systemOf(mine), systemOf(theirs)];
    if (!sameThreads(a, b)) return `Unlike: ${threads(a)} against ${threads(b)}.`;
    if (mine.run.batch !== theirs.run.batch) {
      return `Unlike: batch ${mine.run.batch} against batch ${theirs.run.batch}.`;
    }
    return a.like === b.like ? "" : "Unlike: their settings differ.";
  };
  const WORST_LAST = ["solid", "rough", "noise"];
  const worse = (a, b) => {
    if (a.wrong || b.wrong) return "wrong outputs";
    return WORST_LAST[Math.max(...[a, b].map((run) => WORST_LAST.indexOf(run.grade)))] ?? "";
  };

  // Of the pairs of like settings, where there are any, the one with the most sizes in common; the one
  // that is ahead first.
  const best = ({ lines }) => {
    const found = lines.flatMap((a, i) => lines.flatMap((b, k) => {
      const both = i === k ? [] : common(a, b);
      if (!both.length) return [];
      const lead = both.reduce((sum, [mine, theirs]) => sum + Math.log(theirs.run.total / mine.run.total), 0);
      return [[i, k, Number(!unlike(both[0])), both.length, lead / both.length]];
    }));
    return found.sort((p, q) => q[2] - p[2] || q[3] - p[3] || q[4] - p[4])[0];
  };
  // Whether two lines of the axis can be set against each other; then the two that are chosen at first.
  const offer = (over) => {
    const first = pair[0] && best(over);
    if (!first) return false;
    pair.forEach((select, end) => {
      select.replaceChildren(...over.lines.map((line, i) => new Option(line.name, i)));
      select.value = first[end];
    });
    return true;
  };

  const speedup = (over) => {
    const [fast, late] = pair.map((select) => over.lines[Number(select.value)]);
    const both = common(fast, late);
    document.getElementById("unlike").textContent = both.length ? unlike(both[0]) : "";
    const values = both.map(([mine, theirs]) => rounded((theirs.run.total / mine.run.total - 1) * 100));
    const grades = both.map(([mine, theirs]) => worse(mine.run, theirs.run));
    const places = both.map((_, i) => i);
    const made = bars([], values, both.map(([{ size }], i) =>
      `${axes.place(over, size)}: ${three(Math.abs(values[i]))} % ${values[i] < 0 ? "slower" : "faster"}`
        + `${grades[i] && `; ${grades[i]}`}`), {
      meta: { grades }, orientation: "v", x: places, y: values,
      marker: {
        color: grades.map((grade) => (grade === "noise" || grade === "wrong outputs" ? css("--page") : css("--accent"))),
        line: { color: css("--accent"), width: 1.4 },
        pattern: { shape: grades.map((grade) => (grade === "wrong outputs" ? "x" : "")), fgcolor: css("--accent"), size: 6 },
      },
    });
    made.layout.xaxis = axis({
      tickvals: places, ticktext: both.map(([{ size }]) => size.toLocaleString("en-US")), showgrid: false,
      zeroline: false, range: [-0.6, Math.max(both.length, 4) - 0.4],
    });
    made.layout.yaxis = axis({ ticksuffix: " %" });
    made.height = 300;
    if (!both.length) made.layout.annotations = [{
      text: "These two have no size in common.", showarrow: false, xref: "paper",
      yref: "paper", x: 0.5, y: 0.5,
    }];
    return made;
  };

  window.onnxprof.chartPairs = { pair: pair.filter(Boolean), offer, speedup };
})();
