"use strict";
// Every layer of every model: filters, totals by operator, and a window of rows over an index that
// comes when a batch size is asked for. All that is chosen stands in the address.
(() => {
  const WINDOW = 200;
  const at = (id) => document.getElementById(id);
  const form = at("layer-filters");
  const fields = Object.fromEntries([...form.elements].filter((f) => f.name).map((f) => [f.name, f]));
  const usual = fields.b.value;
  // The page shows one system until another is chosen: at each batch size its usual one.
  const ALL = "all";
  const usualSystem = () => fields.b.selectedOptions[0].dataset.system || ALL;
  const head = at("ll-rows").tHead.rows[0];
  const words = new Intl.Collator("en", { numeric: true });

  const el = (name, kind, ...children) => {
    const made = document.createElement(name);
    if (kind) made.className = kind;
    made.append(...children);
    return made;
  };
  const { isolated } = window.onnxprof;
  const whole = (number) => number.toLocaleString("en-US");
  const ms = (ns) => {
    const value = ns / 1e6;
    if (value >= 100) return Math.round(value).toLocaleString("en-US");
    return value && value < 1e-6 ? "0" : String(Number(value.toPrecision(3)).toFixed(
      Math.max(0, Math.min(9, 2 - Math.floor(Math.log10(value || 1))))));
  };
  // The numbers of a column stand on their points: each gets room for the digits that others have behind it.
  const decimals = (cell) => (cell.textContent.split(".")[1] ?? "").length;
  const align = (table) => {
    const cells = [...table.querySelectorAll("td.ms")];
    const most = Math.max(0, ...cells.map(decimals));
    for (const cell of cells) {
      const own = decimals(cell);
      cell.dataset.room = (own || !most ? "" : ".") + "0".repeat(most - own);
    }
  };
  const percent = (part) => (part >= 0.0995 ? (part * 100).toFixed(1) : (part * 100).toPrecision(2));

  // The index by batch size; each file hands over its own when it has come.
  const indices = new Map();
  window.onnxprof = Object.assign(window.onnxprof ?? {}, {
    layerIndex: (batch, given) => indices.set(String(batch), unfolded(given)),
  });
  const waiting = new Map();
  const load = (batch) => {
    if (!waiting.has(batch)) {
      const come = window.onnxprof.load(`layers/batch-${batch}.js`);
      waiting.set(batch, come.then(() => indices.get(batch), () => {
        waiting.delete(batch);
        throw new Error(`The layers at batch ${batch} could not be loaded.`);
      }));
    }
    return waiting.get(batch);
  };

  // A row is a layer on a system: where its run and its layer stand, for each.
  const unfolded = (given) => {
    const starts = [0];
    for (const [, count] of given.sets) starts.push(starts.at(-1) + count);
    const modelOf = new Uint32Array(given.layers.name.length);
    given.sets.forEach(([model, count], set) => modelOf.fill(model, starts[set], starts[set] + count));
    const count = given.ns.length;
    const layerOf = new Uint32Array(count);
    const runOf = new Uint32Array(count);
    const mainOf = new Uint32Array(count);
    let row = 0;
    given.runs.set.forEach((set, run) => {
      for (let layer = starts[set]; layer < starts[set + 1]; layer += 1, row += 1) {
        layerOf[row] = layer;
        runOf[row] = run;
        mainOf[row] = given.layers.op[layer];
      }
    });
    for (const [place, op] of given.main) mainOf[place] = op;
    const searched = given.layers.name.map(
      (name, layer) => `${given.models[modelOf[layer]][1]} ${name}`.toLowerCase());
    return { ...given, modelOf, layerOf, runOf, mainOf, searched, ns: Float64Array.from(given.ns) };
  };

  // What is asked for, as the address has it: only what differs from the plain page.
  const asked = () => Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, field.value.trim()]));
  let sorting = { key: "time", falls: true };
  let from = 0;

  const plain = (name) => ({ b: usual, system: usualSystem() }[name] ?? "");
  const address = () => {
    const found = new URLSearchParams();
    for (const [name, value] of Object.entries(asked())) {
      if (value && value !== plain(name)) found.set(name, value);
    }
    if (sorting.key !== "time" || !sorting.falls) found.set("sort", (sorting.falls ? "-" : "") + sorting.key);
    if (from) found.set("from", from);
    return found.size ? `#${found}` : location.pathname + location.search;
  };

  // A value that the list may not have yet: its words come with the index.
  const put = (field, value) => {
    if (field.tagName === "SELECT" && value && ![...field.options].some((o) => o.value === value)) {
      field.append(new Option(value, value));
    }
    field.value = value;
  };
  const take = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const [name, field] of Object.entries(fields)) {
      const value = given.get(name) ?? plain(name);
      if (name !== "b" || [...field.options].some((o) => o.value === value)) put(field, value);
    }
    const sort = given.get("sort") ?? "-time";
    const key = sort.replace(/^-/, "");
    const known = [...head.cells].some((th) => th.dataset.key === key);
    sorting = known ? { key, falls: sort.startsWith("-") } : { key: "time", falls: true };
    from = Math.max(0, Math.floor(Number(given.get("from")) || 0));
    isMended = false;
  };

  // What the address asks for and no layer has: it is taken out of both, and said.
  let isMended = true;
  const mend = (index) => {
    if (isMended) return "";
    isMended = true;
    const unknown = ["op", "dtype", "system"].map((name) => [name, fields[name].value])
      .filter(([name, value]) => value && value !== ALL && !index.words[name].includes(value));
    for (const [name] of unknown) put(fields[name], plain(name));
    if (location.hash && address() !== location.hash) history.replaceState(null, "", address());
    const names = unknown.map(([, value]) => value).join(" and ");
    return names && `; the address asked for ${names}, which nothing at this batch size has`;
  };

  const offer = (select, options) => {
    const chosen = select.value;
    const sorted = [...new Set(options)].filter(Boolean).sort(words.compare);
    select.replaceChildren(select.options[0], ...sorted.map((text) => new Option(text, text)));
    if (chosen && !sorted.includes(chosen)) select.append(new Option(chosen, chosen));
    select.value = chosen;
  };

  // Of each word of a dictionary whether it fits: rows then need no text at all.
  const fitting = (list, fits) => Uint8Array.from(list, (text) => (fits(text) ? 1 : 0));

  const chosenRows = (index, want) => {
    const { layers, runs } = index;
    const inWords = (text) => (text ? text.toLowerCase().split(/\s+/) : []);
    const parts = inWords(want.q);
    const shapes = inWords(want.shape.replaceAll("x", "×").replaceAll(",", "×"));
    const op = fitting(index.words.op, (text) => !want.op || text === want.op);
    const dtype = fitting(index.words.dtype, (text) => !want.dtype || text === want.dtype);
    const shape = fitting(index.words.shape, (text) => shapes.every((part) => text.toLowerCase().includes(part)));
    const layer = Uint8Array.from(index.searched, (text, i) => (
      dtype[layers.dtype[i]] && shape[layers.shape[i]] && parts.every((part) => text.includes(part)) ? 1 : 0));
    const run = Uint8Array.from(runs.system, (system, i) => (
      (want.system === ALL ? !runs.bound[i] : index.words.system[system] === want.system) ? 1 : 0));
    const found = new Uint32Array(index.ns.length);
    let count = 0;
    for (let row = 0; row < index.ns.length; row += 1) {
      const it = index.layerOf[row];
      if (run[index.runOf[row]] && layer[it] && (op[layers.op[it]] || (index.ns[row] >= 0 && op[index.mainOf[row]]))) {
        found[count] = row;
        count += 1;
      }
    }
    return found.subarray(0, count);
  };

  const share = (index, row) => index.ns[row] / (index.runs.total[index.runOf[row]] || 1);

  // Texts are ranked once, each in its dictionary; rows are then sorted by numbers.
  const ranks = (list) => {
    const order = [...list.keys()].sort((a, b) => words.compare(list[a], list[b]));
    const rank = new Float64Array(list.length);
    order.forEach((place, i) => { rank[place] = i; });
    return rank;
  };
  const keyOf = (index, key) => {
    const { layers, runs, layerOf, runOf, modelOf } = index;
    index.ranks ??= {};
    const rank = (name, list) => (index.ranks[name] ??= ranks(list));
    switch (key) {
      case "time": return (row) => index.ns[row];
      case "share": return (row) => (index.ns[row] < 0 ? index.ns[row] : share(index, row));
      case "name": { const r = rank(key, layers.name); return (row) => r[layerOf[row]]; }
      case "model": { const r = rank(key, index.models.map((m) => m[1])); return (row) => r[modelOf[layerOf[row]]]; }
      case "system": { const r = rank(key, index.words.system); return (row) => r[runs.system[runOf[row]]]; }
      default: { const r = rank(key, index.words[key]); return (row) => r[layers[key][layerOf[row]]]; }
    }
  };
  const sorted = (index, rows) => {
    const key = keyOf(index, sorting.key);
    const keys = new Float64Array(index.ns.length);
    for (const row of rows) keys[row] = key(row);
    const sign = sorting.falls ? -1 : 1;
    const timed = sorting.key === "time" || sorting.key === "share";
    // what has no time stays last, whichever way the others go
    return rows.slice().sort((a, b) => (
      timed && (keys[a] < 0) !== (keys[b] < 0) ? (keys[a] < 0 ? 1 : -1)
        : sign * (keys[a] - keys[b]) || a - b));
  };

  const line = (index, row, batch) => {
    const { layers, runs } = index;
    const layer = index.layerOf[row];
    const run = index.runOf[row];
    const [slug, model] = index.models[index.modelOf[layer]];
    const page = `models/${slug}/index.html#${runs.key[run]}/${batch}`;
    const link = (address, text) => {
      const made = el("a", "", isolated(text));
      made.href = address;
      return made;
    };
    const name = el("th", "", link(`${page}&l=${encodeURIComponent(layers.name[layer])}`, layers.name[layer]));
    name.scope = "row";
    const ns = index.ns[row];
    const time = ns < 0 ? el("td", "why", index.words.without[-1 - ns])
      : el("td", "ms", (runs.bound[run] ? "≥ " : "") + ms(ns));
    if (ns >= 0) time.title = `${whole(ns)} ns`;
    return el("tr", "", el("td", "l", link(page, model)), name,
      el("td", "l", isolated(index.words.op[layers.op[layer]])),
      el("td", "l shape", isolated(index.words.shape[layers.shape[layer]])),
      el("td", "l w", isolated(index.words.dtype[layers.dtype[layer]] || "not known")),
      el("td", "l", isolated(index.words.system[runs.system[run]])),
      time, el("td", "", ns < 0 ? "" : percent(share(index, row))));
  };

  const bar = (part) => {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    const rect = document.createElementNS(space, "rect");
    for (const [name, value] of [["class", "bar"], ["viewBox", "0 0 100 10"], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
    for (const [name, value] of [["width", (100 * part).toFixed(2)], ["height", "10"]]) rect.setAttribute(name, value);
    svg.append(rect);
    return svg;
  };

  const totals = (index, rows) => {
    const spent = new Float64Array(index.words.op.length);
    const timed = new Uint32Array(index.words.op.length);
    const layers = new Uint32Array(index.words.op.length);
    const seen = new Uint8Array(index.layers.name.length);
    const runs = new Uint8Array(index.runs.set.length);
    for (const row of rows) {
      const layer = index.layerOf[row];
      if (!seen[layer]) {
        seen[layer] = 1;
        layers[index.layers.op[layer]] += 1;
      }
      runs[index.runOf[row]] = 1;
      if (index.ns[row] >= 0) {
        timed[index.mainOf[row]] += 1;
        spent[index.mainOf[row]] += index.ns[row];
      }
    }
    const all = index.runs.total.reduce((sum, ns, run) => sum + (runs[run] ? ns : 0), 0) || 1;
    const order = [...spent.keys()].filter((op) => layers[op] || timed[op])
      .sort((a, b) => spent[b] - spent[a] || words.compare(index.words.op[a], index.words.op[b]));
    const most = order.length ? spent[order[0]] || 1 : 1;
    at("ll-totals").tBodies[0].replaceChildren(...order.map((op) => {
      const button = el("button", "", isolated(index.words.op[op]));
      button.type = "button";
      button.addEventListener("click", () => {
        fields.op.value = index.words.op[op];
        changed(true);
        fields.op.focus();
      });
      const name = el("th", "", button);
      name.scope = "row";
      return el("tr", "", name, el("td", "w", whole(layers[op])), el("td", "", whole(timed[op])),
        el("td", "ms", ms(spent[op])), el("td", "", percent(spent[op] / all)),
        el("td", "w barcell", bar(spent[op] / most)));
    }));
    align(at("ll-totals"));
  };

  let shownUsual = "";
  let turn = 0;
  const show = async () => {
    const mine = turn += 1;
    const want = asked();
    shownUsual = usualSystem();
    const said = at("ll-said");
    if (!indices.has(want.b)) said.textContent = "Loading…";
    let index;
    try {
      index = await load(want.b);
    } catch (error) {
      if (mine === turn) said.textContent = error.message;
      return;
    }
    if (mine !== turn) return;
    const missing = mend(index);
    Object.assign(want, asked());
    offer(fields.op, index.words.op);
    offer(fields.dtype, index.words.dtype);
    offer(fields.system, index.words.system);
    const rows = chosenRows(index, want);
    const order = sorted(index, rows);
    if (from >= order.length) from = 0;
    for (const th of head.cells) {
      if (th.dataset.key === sorting.key) th.setAttribute("aria-sort", sorting.falls ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    }
    totals(index, rows);
    const shown = [...order.subarray(from, from + WINDOW)];
    at("ll-rows").tBodies[0].replaceChildren(...shown.map((row) => line(index, row, want.b)));
    align(at("ll-rows"));
    const models = new Set(Array.from(rows, (row) => index.modelOf[index.layerOf[row]])).size;
    said.textContent = `${whole(rows.length)} row${rows.length === 1 ? "" : "s"} of ${whole(models)} model${models === 1 ? "" : "s"} at batch ${want.b}${want.system === ALL ? ", all measured systems together" : ` on ${want.system}`}${missing}`;
    at("ll-window").textContent = rows.length ? `Rows ${whole(from + 1)} to ${whole(Math.min(from + WINDOW, rows.length))} of ${whole(rows.length)}.` : "No layer matches.";
    at("ll-back").hidden = !from;
    at("ll-next").hidden = from + WINDOW >= rows.length;
  };

  // A choice is a step that Back undoes; what is being typed replaces the last one.
  const changed = (isStep) => {
    from = 0;
    history[isStep ? "pushState" : "replaceState"](null, "", address());
    show();
  };
  let pause;
  form.addEventListener("input", (event) => {
    if (event.target.tagName === "SELECT") return;
    clearTimeout(pause);
    pause = setTimeout(() => changed(false), 150);
  });
  form.addEventListener("change", (event) => {
    if (event.target.tagName !== "SELECT") return;
    // who left the system to the page gets that of the other batch size
    if (event.target === fields.b && fields.system.value === shownUsual) put(fields.system, usualSystem());
    changed(true);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    for (const [name, field] of Object.entries(fields)) if (name !== "b") put(field, plain(name));
    changed(true);
  });
  head.addEventListener("click", (event) => {
    const th = event.target.closest("th");
    if (!th || !event.target.closest("button")) return;
    const { key } = th.dataset;
    const falls = key === "time" || key === "share";
    sorting = { key, falls: sorting.key === key ? !sorting.falls : falls };
    changed(true);
  });
  const turnTo = (place) => {
    from = place;
    history.pushState(null, "", address());
    show();
    at("ll-rows").closest(".scroll").focus({ preventScroll: false });
  };
  at("ll-back").addEventListener("click", () => turnTo(Math.max(0, from - WINDOW)));
  at("ll-next").addEventListener("click", () => turnTo(from + WINDOW));
  const back = () => { take(); show(); };
  window.addEventListener("popstate", back);
  window.addEventListener("hashchange", back);
  take();
  show();
})();
