"use strict";
// Why a run takes its time: the section of the run that is shown, and the cells of its rows.
// The builder makes both; the page has those of its first run, why/STEM.js those of any.
(() => {
  const { onnxprof } = window;
  const found = new Map();

  // The figures of a row, the `i`th of a run's timing table: null for what is no step's.
  const of = (run, i) => {
    // an earlier run shares the file's name with the newest, and brings its own figures
    const held = run.stamp ? run.why : found.get(run.stem);
    if (!held) return null;
    held.places ??= new Map(held.i.map((row, place) => [row, place]));
    const place = held.places.get(i);
    if (place === undefined) return null;
    const rate = (amount) => (amount === null ? null : amount / run.m[i]);
    return {
      macs: held.macs[place], bytes: held.bytes[place], gflops: rate(held.flops[place]),
      gbps: rate(held.bytes[place]), possible: held.possible[place],
      part: held.parts[place], bound: held.words[held.bound[place]],
      kind: held.kinds[held.bound[place]],
    };
  };

  // Cells as publish/roofline/cells.py writes them.
  const cells = (why, { el, three, decimals }) => {
    const cell = (cls, value, text) => {
      const td = el("td", cls, text);
      if (value !== null && value !== undefined) td.dataset.v = value;
      return td;
    };
    if (!why) return ["w x", "w x", "w x", "w x", "roof", "l roof"].map((cls) => el("td", cls));
    const scaled = (value, unit) => {
      for (const [prefix, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
        if (value >= size) return `${three(value / size)}\u00a0${prefix}${unit}`;
      }
      return unit ? `${value}\u00a0${unit}` : String(value);
    };
    const amount = (value, unit) => (value === null ? cell("w x", null, "?")
      : cell("w x", value, value ? scaled(value, unit) : ""));
    const rate = (value) => (value === null ? cell("w x", null, "?")
      : cell(`d${decimals(value)} w x`, Math.round(value * 1e9), value ? three(value) : ""));
    const { possible, part, bound, kind } = why;
    return [
      amount(why.macs, ""), amount(why.bytes, "B"), rate(why.gflops), rate(why.gbps),
      cell("roof", possible, part), el("td", bound ? `l roof ${kind}` : "l roof", bound),
    ];
  };

  // In the order of the columns, for sorting.
  const keys = (why) => (why
    ? [why.macs, why.bytes, why.gflops, why.gbps, why.possible, why.bound] : Array(6).fill(null));

  onnxprof.reasons = { of, cells, keys };

  const sayPast = (run) => {
    const note = document.createElement("p");
    note.className = "note";
    note.textContent = "The run above is an earlier one. The table below has the figures of its steps; a roofline"
      + " and advice are there for the newest run alone.";
    table.classList.toggle("boundless", !run.why?.bounded);
    place.replaceChildren(note);
  };

  const place = document.getElementById("why-shown");
  const table = document.getElementById("timing-table");
  let shown = null;

  const put = (run, held, there) => {
    found.set(run.stem, held);
    table.classList.toggle("boundless", !held.bounded);
    if (there) return;
    const made = document.createElement("template");
    made.innerHTML = held.html;
    place.replaceChildren(made.content);
    document.dispatchEvent(new Event("onnxprof:reasons"));
  };

  document.addEventListener("onnxprof:shown", () => {
    const { current, ask } = onnxprof.model;
    const run = current();
    // the page comes with the section of the run that it shows first
    const there = shown === null && place.dataset.stem === run.stem;
    shown = run;
    if (run.fail) return;
    if (run.stamp) { sayPast(run); return; }
    if (found.has(run.stem)) { put(run, found.get(run.stem), false); return; }
    ask("why", run.stem, `why/${run.stem}.js`).then((held) => {
      if (shown === run) put(run, held, there);
    }, (error) => { if (shown === run && !there) place.textContent = `${error.message}.`; });
  });

  // One Tab stop: arrows go from step to step, across by intensity, up and down by rate.
  const marks = () => [...document.querySelectorAll(".roofs a")];
  const middle = (mark) => {
    const box = mark.lastElementChild.getBBox();
    return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  };
  const go = (mark) => {
    for (const other of marks()) other.tabIndex = other === mark ? 0 : -1;
    mark.focus();
  };
  const along = (from, axis, sign) => {
    const places = marks().map((mark, number) => [sign * middle(mark)[axis], number, mark]);
    places.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const here = places.findIndex(([, , mark]) => mark === from);
    return places[here + 1]?.[2];
  };
  const ways = {
    ArrowRight: ["x", 1], ArrowLeft: ["x", -1], ArrowUp: ["y", -1], ArrowDown: ["y", 1],
  };
  document.addEventListener("keydown", (event) => {
    const mark = event.target.closest?.(".roofs a");
    if (!mark || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = event.key === "Home" ? marks()[0]
      : ways[event.key] && along(mark, ...ways[event.key]);
    if (!to) return;
    event.preventDefault();
    go(to);
  });

  // What a mark says stands below the picture, too: for keys and fingers.
  const say = (event) => {
    const mark = event.target.closest?.(".roofs a");
    const said = mark?.closest("figure").querySelector(".said");
    if (said) said.textContent = mark.querySelector("title").textContent;
  };
  document.addEventListener("focusin", say);
  document.addEventListener("pointerover", say);

  // A step leads to its row; where the page has a selection, that one answers.
  document.addEventListener("click", (event) => {
    const mark = event.target.closest?.(".roofs a");
    if (!mark || onnxprof.selection || event.defaultPrevented) return;
    event.preventDefault();
    const find = document.getElementById("find-timing");
    find.value = mark.dataset.layer;
    find.dispatchEvent(new Event("input", { bubbles: true }));
    table.scrollIntoView({ block: "center" });
  });
})();
