"use strict";
// Charts over the axis that the reader chose: what each needs, and what it is drawn from.
(() => {
  const { address, axes, chartSteps, chartStyle, figures, model } = window.onnxprof;
  const { css, palette, plain, rounded, axis, logarithmic, points, trust, room } = chartStyle;
  const { rowsOf, longest, others } = chartSteps;
  const { three, percent } = model;
  const { count, place, isBatch, lineOf } = axes;
  const number = (size) => size.toLocaleString("en-US");
  const per = (over) => (isBatch(over) ? " per item" : "");

  const sizesOf = (lines) =>
    [...new Set(lines.flatMap((line) => line.points.map(({ size }) => size)))].sort((a, b) => a - b);
  const across = (over, sizes) => {
    const tickvals = axes.ticks(over, sizes);
    return axis({ type: over.log ? "log" : "linear", tickvals, ticktext: tickvals.map(number) });
  };
  const upwards = (over, values) =>
    (over.log && values.length && Math.min(...values) > 0 ? logarithmic(values) : { rangemode: "tozero" });
  const tall = (lines) => 320 + (lines.length > 3 ? 20 * (lines.length - 3) : 0);

  // A line for each of the axis: `value(point, first)` of the points that are `known`, where the first
  // is the smallest size above 0.
  const drawn = (over, known, value, unit, upright) => {
    const lines = over.lines.map((line, i) => ({ ...line, i, points: line.points.filter(known) }))
      .filter((line) => line.points.length);
    const traces = lines.map((line) => {
      const first = line.points.find(({ size }) => size > 0);
      const y = line.points.map((point) => rounded(value(point, first)));
      const color = palette()[line.i % 8];
      return {
        type: "scatter", mode: "lines+markers", name: plain(line.name), hoverinfo: "text",
        x: line.points.map(({ size }) => size), y,
        text: line.points.map(({ size, run }, i) =>
          plain(`${line.name}, ${place(over, size)}: ${three(y[i])}${unit}`) + trust(run)),
        line: { color, width: 1.6 }, ...points(line.points.map(({ run }) => run), color),
      };
    });
    const yaxis = axis(upright(traces.flatMap(({ y }) => y)));
    const layout = { xaxis: across(over, sizesOf(lines)), yaxis, showlegend: lines.length > 1 };
    return { traces, layout, height: tall(lines) };
  };
  const whole = ({ run }) => run.whole;
  const zero = () => ({ rangemode: "tozero" });
  const has = (key) => ({ run }) => Boolean(run[key]);

  const latency = (over) => drawn(over, whole, ({ run }) => run.total / 1e6, " ms", (y) => upwards(over, y));
  const throughput = (over) =>
    drawn(over, whole, (point) => (count(over, point) * 1e9) / point.run.total, ` ${over.item}s/s`, zero);

  // The size over the time, as a multiple of that at the smallest size.
  const gain = (over) => {
    const made = drawn(over, (point) => whole(point) && point.size > 0,
      ({ size, run }, first) => (size / first.size) * (first.run.total / run.total), "×", (y) =>
        ({ range: [0, 1.12 * Math.max(1, ...y)] }));
    const sizes = made.traces.flatMap(({ x }) => x);
    const ends = sizes.length ? [Math.min(...sizes), Math.max(...sizes)] : [];
    if (ends.length) {
      made.traces.unshift({
        type: "scatter", mode: "lines", x: ends, y: ends.map(() => 1), hoverinfo: "skip", showlegend: false,
        line: { color: css("--faint"), width: 1.2, dash: "dot" },
      });
    }
    return made;
  };

  // Of the slowest steps of the chosen run, the time at every size; over the batch that of an item.
  const scaling = (over, run) => {
    const line = lineOf(run, over);
    const own = line.points.map((point) => ({ ...point, rows: new Map(rowsOf(point.run).map((row) => [row.name, row.m])) }));
    const rows = longest(line.points.some((point) => point.run.sys === run.sys && point.run.batch === run.batch)
      ? run : line.points.at(-1).run, 8);
    const names = figures.apart(rows.map((row) => row.name), room()).map(plain);
    const traces = rows.map((row, k) => {
      const there = own.filter((point) => point.rows.get(row.name));
      const y = there.map((point) =>
        rounded(point.rows.get(row.name) / 1e3 / (isBatch(over) ? point.run.batch : 1)));
      return {
        type: "scatter", mode: "lines+markers", name: names[k], x: there.map(({ size }) => size), y,
        text: there.map((point, i) =>
          plain(`${row.name}, ${place(over, point.size)}: ${three(y[i])} µs${per(over)}`) + trust(point.run)),
        hoverinfo: "text", line: { color: palette()[k], width: 1.6 },
        ...points(there.map((point) => point.run), palette()[k]),
      };
    });
    const values = traces.flatMap(({ y }) => y);
    const yaxis = axis(isBatch(over) ? zero() : upwards(over, values));
    const layout = { xaxis: across(over, sizesOf([line])), yaxis, showlegend: true };
    return { traces, layout, height: 300 + 19 * traces.length, which: line.name };
  };

  // Times at every size in parts that add up to the latency: operators, or the slowest steps.
  const MOST = 7;
  const partsOf = (run, key) => {
    const found = new Map();
    const add = (name, ns) => found.set(name, (found.get(name) ?? 0) + ns);
    for (const row of rowsOf(run)) add(row[key], row.m);
    const closing = run.m.slice(-run.sums, -1).map((ns, i) => [model.rowOf(run, run.m.length - run.sums + i).name, ns ?? 0]);
    return { found, closing };
  };
  const stack = (over, run) => {
    const key = address.get("by") === "step" ? "name" : "op";
    const line = lineOf(run, over);
    const sizes = line.points.map(({ size }) => size);
    const each = line.points.map((point) => ({ ...partsOf(point.run, key), items: isBatch(over) ? point.run.batch : 1, run: point.run }));
    const share = (name) => Math.max(...each.map(({ found, run: { total } }) => (found.get(name) ?? 0) / total));
    const names = [...new Set(each.flatMap(({ found }) => [...found.keys()]))]
      .map((name) => [name, share(name)]).sort((a, b) => b[1] - a[1]).map(([name]) => name);
    const kept = names.slice(0, MOST);
    const rest = new Set(names.slice(MOST));
    const sum = (found) => [...found].reduce((ns, [name, m]) => ns + (rest.has(name) ? m : 0), 0);
    const closing = [...new Set(each.flatMap((one) => one.closing.map(([name]) => name)))].sort()
      .filter((name) => each.some((one) => one.closing.some(([other, ns]) => other === name && ns)));
    const labels = figures.apart(kept, room());
    const parts = [
      ...kept.map((name, i) => [labels[i], palette()[i], ({ found }) => found.get(name) ?? 0]),
      ...(rest.size ? [[others(rest.size), palette()[7], ({ found }) => sum(found)]] : []),
      ...closing.map((name, i, { length }) => [name, css(i === length - 1 ? "--faint" : "--rule"), (one) => new Map(one.closing).get(name) ?? 0]),
    ];
    const traces = parts.map(([name, color, of]) => ({
      type: "bar", name: plain(name), x: sizes.map((_, i) => i), hoverinfo: "text", textposition: "none",
      y: each.map((one) => rounded(of(one) / 1e6 / one.items)), marker: { color },
      text: each.map((one, i) => plain(`${name}, ${place(over, sizes[i])}: `
        + `${three(of(one) / 1e6 / one.items)} ms${per(over)}, ${percent(of(one) / one.run.total)} %`)),
    }));
    const layout = {
      barmode: "relative", bargap: 0.35, showlegend: true,
      xaxis: axis({ tickvals: sizes.map((_, i) => i), ticktext: sizes.map(number), showgrid: false, zeroline: false }),
      yaxis: axis(zero()),
    };
    return { traces, layout, height: 320 + 19 * traces.length, which: line.name };
  };

  const energy = (over) => drawn(over, has("mj"), (point) => point.run.mj / count(over, point), " mJ", zero);
  const power = (over) => drawn(over, has("w"), ({ run }) => run.w, " W", zero);
  const memory = (over) => drawn(over, has("mib"), ({ run }) => run.mib, " MiB", zero);

  // What a point must have; a chart without such points is not there.
  const needs = {
    latency: whole, throughput: whole, gain: whole, energy: has("mj"), power: has("w"), memory: has("mib"),
  };
  const isKnown = (key, over) => !needs[key] || over.lines.some((line) => line.points.some(needs[key]));
  window.onnxprof.chartsOver = {
    isKnown, every: { latency, throughput, gain, scaling, stack, energy, power, memory },
  };
})();
