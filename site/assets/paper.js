"use strict";
// Charts on paper. The library draws what comes into view, in the colours of the screen; a page that is
// printed has all charts, drawn here at once from the same figures, and none of them afterwards.
(() => {
  const { charts } = window.onnxprof;
  if (!charts) return;
  const { el, svg } = window.onnxprof.model;
  const [WIDTH, LEFT, RIGHT, TOP, BAR, LINE] = [480, 52, 10, 8, 16, 14];
  const MOST_NAMES = 320;

  // The library reads a little markup in its texts, so that names come to it escaped.
  const plain = (text) => String(text).replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  const text = (x, y, anchor, content) => {
    const node = svg("text", { x, y, "text-anchor": anchor });
    node.textContent = plain(content);
    return node;
  };
  const rule = (x1, y1, x2, y2, stroke = "var(--rule)", width = 1) =>
    svg("path", { d: `M${x1} ${y1}L${x2} ${y2}`, stroke, "stroke-width": width });
  // A colour by its name, which paper and a dark screen have different values of.
  const named = (colour) => {
    const names = [...charts.palette().map((_, i) => `--c${i + 1}`), "--faint", "--rule"];
    return `var(${names.find((name) => charts.css(name) === colour) ?? "--accent"})`;
  };

  // How wide names are in the font of the drawing.
  const pen = document.createElement("canvas").getContext("2d");
  const widest = (names) => {
    pen.font = `10.5px ${getComputedStyle(document.body).fontFamily}`;
    return Math.max(0, ...names.map((name) => pen.measureText(plain(name)).width));
  };
  // A point by the grade of its run: filled, half or hollow; a cross where its outputs are wrong.
  const point = ([cx, cy], grade, colour) => {
    if (grade === "wrong") return [svg("path", { d: `M${cx - 3} ${cy - 3}l6 6m0 -6l-6 6`, stroke: colour, "stroke-width": 1.8 })];
    const isFilled = grade !== "noise" && grade !== "rough";
    const ring = svg("circle", {
      cx, cy, r: 2.6, fill: isFilled ? colour : "var(--page)", stroke: colour, "stroke-width": 1,
    });
    if (grade !== "rough") return [ring];
    return [ring, svg("path", { d: `M${cx} ${cy - 2.6}a2.6 2.6 0 0 0 0 5.2z`, fill: colour })];
  };

  // Round values within a range, six at most.
  const round = (low, high) => {
    const power = 10 ** Math.floor(Math.log10((high - low) / 5));
    const step = [1, 2, 5, 10, 20].map((m) => m * power).find((size) => (high - low) / size <= 6);
    const first = Math.ceil(low / step - 1e-9) * step;
    return Array.from({ length: Math.floor((high - first) / step + 1e-9) + 1 }, (_, i) => first + i * step);
  };
  // 0, 2.5, 1,000: without zeros that say nothing.
  const plainly = (value) =>
    Number(value.toPrecision(6)).toLocaleString("en-US", { maximumFractionDigits: 9 }).replace("-", "\u2212");
  // Where a value stands between two ends, and the marks of the axis with their texts.
  const scale = (axis, values, from, to) => {
    const isLog = axis.type === "log";
    const place = isLog ? Math.log10 : Number;
    const found = values.map(place);
    let [low, high] = axis.range ?? [Math.min(...found), Math.max(...found)];
    if (!axis.range && !isLog) [low, high] = [Math.min(0, low), Math.max(0, high)];
    if (low === high) [low, high] = [low - 0.5, high + 0.5];
    const ticks = axis.tickvals ?? round(low, high);
    const texts = axis.ticktext ?? ticks.map((value) => `${plainly(value)}${axis.ticksuffix ?? ""}`);
    const at = (value) => from + ((place(value) - low) / (high - low)) * (to - from);
    return { at, marks: ticks.map((value, i) => [at(value), texts[i]]) };
  };

  const across = (trace, layout) => {
    const bottom = TOP + BAR * trace.x.length;
    const left = Math.min(MOST_NAMES, Math.ceil(1.05 * widest(layout.yaxis.ticktext)) + 12);
    const ends = trace.error_x ? trace.x.map((value, i) => value + trace.error_x.array[i]) : trace.x;
    const { at, marks } = scale(layout.xaxis, [...trace.x, ...ends], left, WIDTH - RIGHT);
    const drawn = marks.flatMap(([x, word]) => [rule(x, TOP, x, bottom), text(x, bottom + LINE, "middle", word)]);
    trace.x.forEach((value, i) => {
      const y = TOP + BAR * i;
      const colour = [trace.marker.color].flat();
      drawn.push(text(left - 6, y + 11.5, "end", layout.yaxis.ticktext[i]), svg("rect", {
        x: at(0), y: y + 3, width: Math.max(0, at(value) - at(0)), height: BAR - 6, fill: named(colour[i % colour.length]),
      }));
      if (trace.error_x) drawn.push(rule(at(value - trace.error_x.arrayminus[i]), y + BAR / 2, at(ends[i]), y + BAR / 2, "var(--ink)"));
    });
    return [drawn, bottom + LINE + 6];
  };

  const FOOT = 200;
  const grid = (x, y) => [
    ...y.marks.flatMap(([at, word]) => [rule(LEFT, at, WIDTH - RIGHT, at), text(LEFT - 6, at + 4, "end", word)]),
    ...x.marks.map(([at, word]) => text(at, FOOT + LINE, "middle", word)),
  ];
  const upright = (trace, layout) => {
    const x = scale(layout.xaxis, trace.x, LEFT, WIDTH - RIGHT);
    const y = scale(layout.yaxis, trace.y, FOOT, TOP);
    const half = 0.3 * (x.at(1) - x.at(0));
    const bars = trace.y.map((value, i) => svg("rect", {
      x: x.at(i) - half, y: Math.min(y.at(0), y.at(value)), width: 2 * half, height: Math.abs(y.at(value) - y.at(0)),
      fill: /^(noise|wrong)/.test(trace.meta.grades[i]) ? "var(--page)" : "var(--accent)", stroke: "var(--accent)",
    }));
    const wrong = trace.y.flatMap((value, i) => (trace.meta.grades[i].startsWith("wrong") ? [text(x.at(i), y.at(value / 2) + 4, "middle", "✗")] : []));
    return [[...grid(x, y), ...bars, ...wrong], FOOT + LINE + 6];
  };
  const key = (name, colour, foot) =>
    [rule(LEFT, foot + LINE - 4, LEFT + 18, foot + LINE - 4, colour, 2.5), text(LEFT + 24, foot + LINE, "start", name)];
  // Bars in parts, those below zero downwards.
  const stacked = (traces, layout) => {
    const places = traces[0].x;
    const sums = (sign) => places.map((_, i) => traces.reduce((sum, { y }) => sum + (sign * y[i] > 0 ? y[i] : 0), 0));
    const x = scale({ ...layout.xaxis, range: [-0.6, places.length - 0.4] }, places, LEFT, WIDTH - RIGHT);
    const y = scale(layout.yaxis, [...sums(1), ...sums(-1)], FOOT, TOP);
    const half = 0.3 * (x.at(1) - x.at(0));
    const ends = [places.map(() => 0), places.map(() => 0)];
    const drawn = grid(x, y);
    let foot = FOOT + LINE + 6;
    for (const trace of traces) {
      const colour = named(trace.marker.color);
      trace.y.forEach((value, i) => {
        const side = ends[value < 0 ? 1 : 0];
        const [from, to] = [y.at(side[i]), y.at(side[i] += value)];
        drawn.push(svg("rect", { x: x.at(i) - half, y: Math.min(from, to), width: 2 * half, height: Math.abs(to - from), fill: colour }));
      });
      drawn.push(...key(trace.name, colour, foot));
      foot += LINE;
    }
    return [drawn, foot + 4];
  };

  const lines = (traces, layout) => {
    const all = (key) => traces.flatMap((trace) => trace[key]);
    const x = scale(layout.xaxis, all("x"), LEFT + 12, WIDTH - RIGHT - 12);
    const y = scale(layout.yaxis, all("y"), FOOT, TOP);
    const drawn = grid(x, y);
    let foot = FOOT + LINE + 6;
    for (const trace of traces) {
      const points = trace.x.map((value, i) => [x.at(value), y.at(trace.y[i])]);
      const colour = named(trace.line.color);
      drawn.push(svg("path", { d: `M${points.map((point) => point.join(" ")).join("L")}`, stroke: colour, fill: "none", "stroke-width": trace.line.width, ...(trace.line.dash ? { "stroke-dasharray": "2 3" } : {}) }));
      if (trace.mode === "lines") continue;
      drawn.push(...points.flatMap((each, i) => point(each, trace.meta?.grades[i], colour)));
      if (!layout.showlegend) continue;
      drawn.push(...key(trace.name, colour, foot));
      foot += LINE;
    }
    return [drawn, foot + 4];
  };

  const drawing = ({ traces, layout }) => {
    const [first] = traces;
    if (!first?.x.length) return [[text(WIDTH / 2, 40, "middle", layout.annotations?.[0]?.text ?? "")], 60];
    if (first.type !== "bar") return lines(traces, layout);
    if (layout.barmode) return stacked(traces, layout);
    return first.orientation === "v" ? upright(first, layout) : across(first, layout);
  };
  // What stands in the controls of a chart, which paper does not have.
  const controls = (figure) => [...figure.querySelectorAll(".pair > *")]
    .map((part) => (part.selectedOptions ? part.selectedOptions[0]?.text : part.textContent)).join(" ");

  charts.picture = (figure, made) => {
    const [content, height] = drawing(made);
    const picture = svg("svg", { class: "picture", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": figure.querySelector("figcaption").textContent.trim() });
    picture.append(...content);
    return picture;
  };
  const put = (figure) => {
    const made = charts.of(figure);
    if (!made) return;
    figure.append(el("div", "paper", ...(controls(figure) ? [el("p", "note", controls(figure))] : []), charts.picture(figure, made)));
  };
  const clear = () => document.querySelectorAll(".paper").forEach((paper) => paper.remove());

  window.addEventListener("beforeprint", () => { clear(); charts.figures.forEach(put); });
  window.addEventListener("afterprint", clear);
})();
