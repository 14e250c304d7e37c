"use strict";
// What stands on the x axis of the charts, as the address says (&x=KEY): the batch, a free axis, the length
// of a phase. A line over it is one system with all else held still.
(() => {
  const { address, model } = window.onnxprof;
  const { data } = model;
  const select = document.getElementById("over");
  const all = data.axes.map((axis) => ({
    ...axis,
    lines: axis.lines.map(([name, kind, points]) => ({
      name, kind, points: points.map(([size, i]) => ({ size, run: data.runs[i] })),
    })),
  }));
  const current = () => all.find(({ key }) => key === address.get("x")) ?? all[0];
  const isBatch = (axis) => axis.key === "batch";

  // Of an inference, what throughput counts over the axis: all new tokens of a prompt, else items of the batch.
  const count = (axis, { size, run }) => run.batch * (axis.key === "prefill:" ? size : 1);
  // `batch 8`, `tokens in the cache (decode) 512`
  const place = (axis, size) => `${isBatch(axis) ? "batch" : axis.x} ${size.toLocaleString("en-US")}`;
  // As `titled` of charts.py.
  const titled = (text, axis = current()) => text.replace("{x}", axis.x).replace("{item}", axis.item)
    .replace("{each}", isBatch(axis) ? "per item " : "");

  // The line that a run is on, or another one of its system.
  const lineOf = (run, axis = current()) => {
    const same = (point) => point.run.sys === run.sys && point.run.batch === run.batch;
    const at = data.runs.findIndex((other) => other.sys === run.sys && other.batch === run.batch);
    return axis.lines.find(({ points }) => points.some(same))
      ?? axis.lines.find(({ kind }) => kind === data.kinds[at]) ?? axis.lines[0];
  };

  // Sizes whose labels do not touch, the last one among them; as `labelled` of drawing/sizes.py.
  const APART = 0.06;
  const ticks = (axis, sizes) => {
    const at = axis.log ? Math.log : Number;
    const span = at(sizes.at(-1)) - at(sizes[0]) || 1;
    return sizes.reduce((kept, size) => {
      if (kept.length && (at(size) - at(kept.at(-1))) / span < APART) {
        if (size === sizes.at(-1)) kept.splice(-1, 1, size);
        return kept;
      }
      return [...kept, size];
    }, []);
  };

  let shown = current();
  let heard = () => {};
  const follow = () => {
    if (select) select.value = current().key;
    if (current() === shown) return;
    shown = current();
    heard();
  };
  address.onChange(follow);
  select?.addEventListener("change", () => {
    address.set({ x: select.value === all[0].key ? null : select.value }, { push: true });
  });
  if (select) select.value = shown?.key ?? "";
  window.onnxprof.axes = {
    current, count, place, titled, lineOf, ticks, isBatch, onChange: (then) => { heard = then; },
  };
})();
