"use strict";
// Shows the run that the fragment names: #SYSTEM/BATCH, or two to compare: #SYSTEM/BATCH~SYSTEM/BATCH.
(() => {
  const { address, figures } = window.onnxprof;
  const { el, svg, isolated, decimals, fixed, three, percent, unitFor, short, bar, whiskers } = figures;
  const data = JSON.parse(document.getElementById("data").textContent);
  // Operators and shapes come once each, and as their numbers where they stand.
  for (const set of data.sets) for (const layer of set) layer[1] = data.names[layer[1]];
  for (const table of data.tables) table.shapes = table.shapes.map((i) => data.shapes[i]);
  const at = (id) => document.getElementById(id);
  const select = at("system");
  const radios = [...document.querySelectorAll("#batches input")];
  const first = data.runs.findIndex((run) => !run.fail);
  let shown = null;

  // A name that chooses its layer; arrow keys go from one to the next, see keys.js.
  const layerLink = (name, content = isolated(name)) => {
    const link = el("a", "layer", content);
    link.href = `#${spelled(shown)}&l=${encodeURIComponent(name)}`;
    link.tabIndex = -1;
    return link;
  };

  const number = (ns, unit, extra) => {
    if (ns === null) return el("td", extra);
    const value = ns / unit[1];
    const cell = el("td", `d${decimals(value)} ${extra}`.trim(), three(value));
    cell.dataset.v = ns;
    cell.title = `${fixed(ns, 0)} ns`;
    return cell;
  };

  // One row of a run in words and numbers.
  const rowOf = (run, i) => {
    const layer = run.l[i] < 0 ? null : data.sets[data.tables[run.table].set][run.l[i]];
    return {
      layer: Boolean(layer),
      name: layer ? layer[0] : data.names[run.n[i]],
      op: layer ? layer[1] : data.names[run.o[i]],
      shape: layer && layer[2] >= 0 ? data.tables[run.table].shapes[layer[2]] : "",
      status: data.names[run.s[i]],
      step: data.names[run.t[i]],
      m: run.m[i], lo: run.lo[i] === null ? null : run.m[i] - run.lo[i],
      hi: run.hi[i] === null ? null : run.m[i] + run.hi[i],
      share: run.m[i] === null || !run.total ? null : run.m[i] / run.total,
      get why() { return window.onnxprof.reasons.of(run, i); },
    };
  };

  // Bars are drawn against the longest row of the run.
  const longest = (rows) => rows.reduce((most, row) => Math.max(most, row.share ?? 0), 1e-9);

  const shareCells = (row, most) => {
    if (row.share === null) return [el("td"), el("td", "w")];
    const cell = el("td", "", percent(row.share));
    cell.dataset.v = row.m;
    return [cell, el("td", "w barcell", ...(row.status === "total" ? [] : [bar(row.share / most)]))];
  };

  const stepCell = (step) => {
    const cell = el("td", "l w step", ...(step ? [el("bdi", "", step)] : []));
    if (step) cell.title = step;
    return cell;
  };

  const tableRow = (row, place, unit, most) => {
    const head = el("th", "", row.layer ? layerLink(row.name) : isolated(row.name));
    head.scope = "row";
    const order = el("td", "w", place ? String(place) : "");
    if (place) order.dataset.v = place;
    const tr = el("tr", row.status.split(",")[0].replace(" ", "_"));
    if (place) tr.id = `t${place}`;
    if (row.layer) tr.dataset.layer = row.name;
    tr.append(
      order, head, el("td", "l", row.op), el("td", "l w", row.shape),
      number(row.m, unit, ""), number(row.lo, unit, "w spread"), number(row.hi, unit, "w spread"),
      ...shareCells(row, most), ...window.onnxprof.reasons.cells(row.why, { el, three, decimals }),
      el("td", "l", row.status),
      stepCell(row.step));
    return tr;
  };

  const showTiming = (run, there = false) => {
    const table = at("timing-table");
    at("shown").classList.toggle("unmeasured", Boolean(run.fail));
    at("unmeasured").hidden = !run.fail;
    if (run.fail) return;
    const unit = unitFor(run.total);
    const rows = run.m.map((_, i) => rowOf(run, i));
    const body = rows.slice(0, -run.sums);
    const most = longest(body);
    for (const label of table.querySelectorAll("[data-u]")) label.textContent = unit[0];
    window.onnxprof.rows(table, timed(run, body, unit, most), there && !viewed());
    if (there) return;
    table.tFoot.replaceChildren(...rows.slice(-run.sums).map((row) => tableRow(row, 0, unit, most)));
    showSlowest(run, unit);
  };

  // What the address asks of the timing table; by itself it opens with the slowest steps.
  const KEPT = ["rows", "order", "fused"];
  const viewed = () => KEPT.map((key) => address.get(key) ?? "").join("");

  // What site.js makes the rows of the timing table from; keys in the order of its columns.
  const timed = (run, body, unit, most) => ({
    count: body.length,
    of: run,
    ...opening(run, body),
    row: (i) => tableRow(body[i], i + 1, unit, most),
    key: (i, column) => {
      const { name, op, shape, m, lo, hi, share, status, step, why } = body[i];
      const reasons = window.onnxprof.reasons.keys(why);
      return [i + 1, name, op, shape, m, lo, hi, share === null ? null : m, null, ...reasons, status,
        step][column];
    },
    text: (i) => {
      const { name, op, shape, status, step } = body[i];
      return [name, op, shape, status, step].join(" ");
    },
  });

  // As layer_rows.opening: rows in doubt rank by their p5, those without a time last.
  const opening = (run, body) => {
    const doubted = new Set(run.d);
    const rank = body.map(({ m, lo }, i) => (doubted.has(i) ? lo : m) ?? 0);
    const places = [...body.keys()];
    return {
      natural: address.get("order") === "file" ? places : [...places].sort((a, b) => rank[b] - rank[a]),
      opening: address.get("order") === "file" ? 0 : Number(at("timing-table").dataset.opening),
      whole: address.get("rows") === "all",
      keep: (i) => address.get("fused") !== null || body[i].status !== "fused",
    };
  };

  // Steps with all their layers: [name, all names, operators, median, p5, p95, first layer].
  const showSlowest = (run, unit) => {
    const most = Math.max(1, ...run.slow.map(([, , , ns, , high]) => Math.max(ns, high ?? 0)));
    at("slowest").replaceChildren(...run.slow.map(([name, whole, op, ns, low, high, place]) => {
      const layer = layersOf(run)[place]?.[0];
      const link = layer === undefined ? isolated(name) : layerLink(layer, isolated(name));
      if (layer !== undefined) link.removeAttribute("tabindex");
      const head = el("span", "name", link, " ", el("span", "op", op));
      head.title = whole;
      const time = el("span", "figure", `${three(ns / unit[1])} ${unit[0]}`);
      if (low !== null) time.title = `p5 to p95: ${fixed(low, 0)} to ${fixed(high, 0)} ns`;
      const item = el("li", "", head, time,
        el("span", "figure", `${percent(ns / run.total)} %`), whiskers(ns, low, high, most));
      if (layer !== undefined) item.dataset.layer = layer;
      return item;
    }));
  };

  const showWords = (run) => {
    const sentence = run.fail ? "" : `${run.text}.`;
    at("sentence").replaceChildren(run.wrong ? el("s", "", sentence) : sentence);
    at("sentence").classList.toggle("wrong", Boolean(run.wrong));
    at("wrong").hidden = !run.wrong;
    at("wrong").textContent = run.wrong
      ? `The outputs are wrong, so these times count for nothing: ${run.wrong}.` : "";
    at("failure").hidden = !run.fail;
    at("failure").textContent = run.fail ? `This measurement failed: ${run.fail}` : "";
    at("command").replaceChildren(...window.onnxprof.unbroken(run.cmd));
    // what another program measured has no command that repeats it
    at("command-what").textContent = run.again[2] ? "Measured by" : "Imported by";
    at("main").classList.toggle("bound", Boolean(run.bound));
  };

  const showFiles = (run) => {
    if (at("macs")) at("macs").textContent = run.macs;
    for (const [id, ending] of [["csv", "csv"], ["spreadsheet", "spreadsheet.csv"], ["pdf", "pdf"]]) {
      if (!at(id)) continue;
      const lacks = id === "spreadsheet" && !data.sheets.includes(`runs/${run.stem}.csv`);
      at(id).hidden = Boolean(run.fail || run.stamp || lacks);
      at(id).href = `runs/${run.stem}.${ending}`;
    }
    at("svg").href = `plot/batch-${run.batch}.svg`;
  };

  // The shapes at the batch size that is shown, of those tensors that the page came with.
  let shapes = data.tables[data.runs[Math.max(first, 0)].table].shapes;
  const showShapes = (run) => {
    const table = data.tables[run.table];
    if (table.set !== data.tables[data.runs[Math.max(first, 0)].table].set) return;
    shapes = table.shapes;
    for (const node of document.querySelectorAll("[data-t]")) {
      node.textContent = shapes[node.dataset.t];
    }
    for (const node of document.querySelectorAll("summary [data-batch]")) {
      node.textContent = run.batch;
    }
  };

  // In front of the other lines; what is moved loses the focus.
  const raise = (mark) => {
    const held = mark.contains(document.activeElement) ? document.activeElement : null;
    mark.parentNode.append(mark);
    held?.focus({ preventScroll: true });
  };

  const showChoice = (run) => {
    const key = data.systems[run.sys].key;
    select.value = key;
    for (const radio of radios) {
      const there = data.runs.find((r) => r.sys === run.sys && r.batch === Number(radio.value));
      radio.disabled = !there;
      radio.checked = Boolean(there) && there.batch === run.batch;
      radio.parentNode.classList.toggle("failed", Boolean(there && there.fail));
    }
    const named = `#${key}/${run.batch}`;
    const on = new Set([key]);
    for (const line of document.querySelectorAll("g[data-system]")) {
      for (const dot of line.querySelectorAll("a")) dot.classList.toggle("on", dot.getAttribute("href") === named);
      if (line.querySelector("a.on")) on.add(line.dataset.system);
    }
    for (const mark of document.querySelectorAll("[data-system]")) {
      mark.classList.toggle("on", on.has(mark.dataset.system));
      if (mark.matches("g.on")) raise(mark);
    }
  };

  // The page comes with the first run in it.
  const show = (run) => {
    if (run === shown) return;
    const there = !shown && run === data.runs[Math.max(first, 0)];
    shown = run;
    if (there) showTiming(run, true);
    for (const part of there ? [showChoice] : [showChoice, showWords, showTiming, showFiles, showShapes]) {
      part(run);
    }
    document.dispatchEvent(new Event("onnxprof:shown"));
  };

  // Data that is large comes when it is wanted: a script that hands it over, since pages on disk
  // can read nothing else.
  const asked = new Map();
  const receive = (kind) => (key, value) => asked.get(`${kind} ${key}`).done(value);
  const ask = (kind, key, path) => {
    const name = `${kind} ${key}`;
    if (!asked.has(name)) {
      const entry = {};
      entry.promise = new Promise((done, fail) => {
        entry.done = done;
        asked.set(name, entry);
        window.onnxprof.load(path).catch(fail);
      });
    }
    return asked.get(name).promise;
  };

  // The run of a system whose batch is nearest to the one wanted.
  const nearest = (sys, batch) => data.runs.filter((run) => run.sys === sys).sort((a, b) =>
    Math.abs(Math.log2(a.batch / batch)) - Math.abs(Math.log2(b.batch / batch)))[0];

  // The layers of a run's table: [name, operator, first output tensor] each.
  const layersOf = (run) => data.sets[data.tables[run.table].set];
  // From the place of a layer to that of the row that has its step's time.
  const homesOf = (run) => {
    const homes = new Map();
    if (run.fail) return homes;
    let fused = 0;
    run.l.forEach((layer, i) => {
      const isFused = data.names[run.s[i]] === "fused";
      const home = isFused ? run.h[fused] : i;
      fused += isFused;
      if (layer >= 0 && home >= 0) homes.set(layer, home);
    });
    return homes;
  };

  // An earlier run of the same, once history.js has read it: SYSTEM/BATCH@TIME. Only these have a
  // stamp; until then, and without one, it is the newest.
  let earlier = () => null;
  const runAt = (text) => {
    const [, key, batch, stamp] = /^(.*)\/(\d+)(?:@([\w.]+))?$/.exec(text) ?? [];
    const sys = data.systems.findIndex((system) => system.key === key);
    if (sys < 0) return null;
    return (stamp && earlier(sys, Number(batch), stamp)) || nearest(sys, Number(batch));
  };
  const parts = () => address.run().split("~");

  const wanted = () => {
    const start = data.runs[Math.max(first, 0)];
    return runAt(parts()[0]) ?? (location.hash ? shown ?? start : start);
  };
  const other = () => runAt(parts()[1] ?? "");

  const spelled = (run) =>
    `${data.systems[run.sys].key}/${run.batch}${run.stamp ? `@${run.stamp}` : ""}`;
  address.home = () => spelled(shown ?? wanted());
  // What a reader calls a run, and what its shares are of.
  const called = (run) =>
    `${data.systems[run.sys].short}, batch ${run.batch}${run.stamp ? `, ${run.when}` : ""}`;
  const wholeOf = (run) => (run.bound ? "the published sum" : "the median");
  // What else the address says, such as the layer that is chosen, stays.
  const goTo = (run, against) => {
    location.hash = address.with({}, against ? `${spelled(run)}~${spelled(against)}` : spelled(run));
  };
  const choose = (key, batch) => {
    const sys = data.systems.findIndex((system) => system.key === key);
    goTo(nearest(sys, Number(batch)), other());
  };

  at("choice").addEventListener("change", (event) => {
    if (event.target.id === "when") return;
    const radio = radios.find((r) => r.checked);
    choose(select.value, radio ? radio.value : shown.batch);
  });
  at("choice").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    const named = link?.getAttribute("href").slice(1) ?? "";
    if (!runAt(named) || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    location.hash = address.with({}, named);
  });
  // What the address asks for and no run has is mended there; of earlier runs history.js knows.
  const mend = () => {
    const head = address.run();
    if (!head || head.includes("@")) return;
    const right = [wanted(), other()].filter(Boolean).map(spelled).join("~");
    if (right !== head) history.replaceState(history.state, "", address.with({}, right));
  };
  window.addEventListener("hashchange", () => { show(wanted()); mend(); });
  document.addEventListener("onnxprof:reasons", () => showTiming(shown));
  select.disabled = false;
  Object.assign(window.onnxprof, {
    graph: receive("graph"), aligned: receive("aligned"), layers: receive("layers"),
    facts: receive("facts"),
    why: receive("why"),
    model: {
      data, el, svg, bar, isolated, short, rowOf, three, fixed, percent, unitFor, number, ask,
      other, goTo, current: () => shown, shapes: () => shapes, layersOf, homesOf, layerLink,
      spelled, called, wholeOf, parts, receive,
      again: (find) => { earlier = find; show(wanted()); },
      // The timing table anew, as the address asks for it now.
      lay: () => showTiming(shown),
    },
  });
  show(wanted());
  mend();
})();
