"use strict";
// The leaderboard: which run each cell shows and by what figure; all of it stands in the address.
// The rules are those of onnxprof/publish/leaderboard: only like is set beside like.
(() => {
  const table = document.getElementById("models");
  const tbody = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const systems = heads.filter((th) => th.dataset.device !== undefined);
  const rows = [...tbody.rows];
  const WINDOW = Number(table.dataset.window);
  const { ANY_THREADS, fixed, isBetter, pick, cost, fill, lead, settingWords, showVersus } = window.onnxprof.cells;

  // Controls: each is named in the address and has a value that it starts with.
  const radios = (name) => {
    const inputs = [...document.querySelectorAll(`#controls input[name="${name}"]`)];
    const first = inputs.find((input) => input.defaultChecked)?.value ?? "";
    return {
      first,
      get: () => inputs.find((input) => input.checked)?.value ?? first,
      set: (value) => {
        const asked = inputs.some((input) => input.value === value) ? value : first;
        for (const input of inputs) input.checked = input.value === asked;
      },
    };
  };
  const field = (id) => {
    const input = document.getElementById(id);
    const fits = (value) => input.tagName !== "SELECT" || [...input.options].some((o) => o.value === value);
    return {
      first: "",
      get: () => (input ? input.value : ""),
      set: (value) => { if (input) input.value = fits(value) ? value : ""; },
    };
  };
  const controls = {
    batch: radios("batch"), show: radios("metric"), threads: radios("threads"), graph: radios("graph"),
    sizes: field("sizes"), find: field("search"), family: field("family"), task: field("task"),
    device: field("device"), runtime: field("runtime"),
  };
  // A link says these always, so that it means the same when other runs are the most common.
  const ALWAYS = ["batch", "show", "threads"];

  // Beside the controls: the column that sorts ("-" before it where it falls), and how many rows.
  let sorted = { by: "", down: false };
  let limit = WINDOW;

  const address = () => {
    const parts = new URLSearchParams();
    for (const [name, control] of Object.entries(controls)) {
      const value = control.get();
      if (value !== control.first || (ALWAYS.includes(name) && value)) parts.set(name, value);
    }
    if (sorted.by) parts.set("sort", `${sorted.down ? "-" : ""}${sorted.by}`);
    if (limit !== WINDOW) parts.set("rows", limit === Infinity ? "all" : String(limit));
    return `#${parts}`;
  };

  // A fragment without "=" is that of a heading, and leaves the table as it is.
  const read = () => {
    const text = location.hash.slice(1);
    if (text && !text.includes("=")) return false;
    const asked = new URLSearchParams(text);
    for (const [name, control] of Object.entries(controls)) control.set(asked.get(name) ?? control.first);
    const sort = asked.get("sort") ?? "";
    const by = sort.replace(/^-/, "");
    sorted = heads.some((th) => th.dataset.by === by) ? { by, down: sort !== by } : { by: "", down: false };
    const many = asked.get("rows");
    limit = many === "all" ? Infinity : Math.max(WINDOW, Number(many) || 0);
    mend(asked);
    return true;
  };
  // An address that asks for what is not there says what is shown in its place.
  const mend = (asked) => {
    const kept = new URLSearchParams(address().slice(1));
    const isTaken = ([name, value]) => value === (kept.get(name) ?? controls[name]?.first);
    if (![...asked].every(isTaken)) history.replaceState(history.state, "", address());
  };

  const choice = (data) => {
    const value = Object.fromEntries(Object.entries(controls).map(([name, c]) => [name, c.get()]));
    return {
      ...value,
      best: value.batch === "best",
      batch: Number(value.batch),
      threads: value.threads === "" ? ANY_THREADS : Number(value.threads),
      written: value.graph === "written" ? 1 : 0,
      work: value.sizes ? data.works.findIndex(([key]) => key === value.sizes) : -1,
    };
  };

  const columnsShown = (want) => systems.map((th) =>
    (!want.device || th.dataset.device === want.device)
    && (!want.runtime || th.dataset.runtime === want.runtime));

  const compute = (data, want) => {
    const there = columnsShown(want);
    return data.models.map((model) => {
      const work = want.work >= 0 && model.works.size > 1 ? want.work : model.usual;
      const cells = systems.map((_, i) => pick(data, model.columns[i] ?? [], want, work));
      for (const cell of cells) cell.cost = cell.record ? cost(cell.record, want) : null;
      const known = cells.filter((cell, i) => there[i] && cell.cost).map((cell) => cell.cost);
      const best = Math.min(...known);
      for (const cell of cells) {
        if (known.length > 1 && cell.cost) cell.share = best / cell.cost;
      }
      const shown = cells.filter((cell, i) => there[i] && cell.cost);
      const winner = shown.length > 1 ? shown.reduce((a, b) => (b.cost < a.cost ? b : a)) : null;
      if (winner) winner.wins = shown.every((cell) => cell === winner || isBetter(data, want, winner, cell));
      return { work, cells, best, isUsual: work === model.usual };
    });
  };

  // Words of the caption.
  const SHOWN = {
    latency: ["Median latency in milliseconds", "Median latency per item in milliseconds"],
    throughput: ["Items a second", "Items a second"],
    energy: ["Energy of the device per item in millijoules", "Energy of the device per item in millijoules"],
    relative: ["Times as slow as the row's fastest", "Times as slow per item as the row's fastest"],
  };

  // The order of rows; those without a value stay last, whichever way the others go.
  const letters = new Intl.Collator("en", { numeric: true });
  const sortKey = (th, lines, want) => {
    const at = heads.indexOf(th);
    const falls = want.show === "throughput" ? -1 : 1;
    if (th.dataset.kind === "figure") {
      const system = systems.indexOf(th);
      return (i) => {
        const { cost: value } = lines[i].cells[system];
        if (!value) return null;
        return want.show === "relative" ? value / lines[i].best : falls * value;
      };
    }
    const cell = (i) => rows[i].cells[at];
    if (th.dataset.kind === "number") {
      return (i) => (cell(i).dataset.v === undefined ? null : Number(cell(i).dataset.v));
    }
    return (i) => (at ? cell(i).textContent : rows[i].dataset.text).trim() || null;
  };
  const ordered = (found, lines, want) => {
    const th = heads.find((head) => head.dataset.by === sorted.by);
    for (const head of heads) head.removeAttribute("aria-sort");
    if (!th || !sorted.by) return found;
    th.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
    const key = sortKey(th, lines, want);
    // items a second fall as their cost rises, and the arrow is that of what is shown
    const sign = sorted.down ? -1 : 1;
    return found.map((i) => [key(i), i]).sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j;
      return sign * (typeof a === "string" ? letters.compare(a, b) : a - b) || i - j;
    }).map(([, i]) => i);
  };

  const wanted = (want, lines) => {
    const words = want.find.toLowerCase().split(/\s+/).filter(Boolean);
    const there = columnsShown(want);
    const all = there.every(Boolean);
    return rows.map((_, i) => i).filter((i) => {
      const { text, task, family } = rows[i].dataset;
      return words.every((word) => text.includes(word))
        && (!want.task || task === want.task) && (!want.family || family === want.family)
        && (all || lines[i].cells.some((cell, c) => there[c] && (cell.record || cell.other)));
    });
  };

  const output = document.querySelector('output[data-count="models"]');
  const everything = output.textContent;
  const more = document.getElementById("more");
  const noMatch = document.getElementById("no-match");
  const tell = (count) => {
    output.textContent = count === rows.length ? everything : `${fixed(count, 0)} of ${fixed(rows.length, 0)}`;
    const rest = count - Math.min(limit, count);
    more.hidden = !rest;
    noMatch.hidden = count > 0;
    if (!rest) return;
    const [said, buttons] = more.children;
    said.textContent = `The first ${fixed(limit, 0)} of ${fixed(count, 0)} models. `;
    buttons.children[0].textContent = `Show ${Math.min(WINDOW, rest)} more`;
    buttons.children[1].textContent = `Show all ${fixed(count, 0)}`;
  };

  const showColumns = (want) => {
    const there = columnsShown(want);
    const hide = (cells) => systems.forEach((_, i) => { cells[1 + i].hidden = !there[i]; });
    hide(heads);
    return hide;
  };

  // What the cells of each row were made for; the builder made them for the first choice.
  const signature = (want) => JSON.stringify([want.best || want.batch, want.show, want.threads,
    want.written, want.work, want.device, want.runtime]);
  const filled = new Map();

  // The first rows at once, the others frame by frame.
  const AT_ONCE = 60;
  let turn = 0;
  const inTurns = (shown, put, from = 0, mine = (turn += 1)) => {
    shown.slice(from, from + AT_ONCE).forEach(put);
    if (from + AT_ONCE >= shown.length) return;
    requestAnimationFrame(() => setTimeout(() => {
      if (mine === turn) inTurns(shown, put, from + AT_ONCE, mine);
    }));
  };

  const show = (data) => {
    const want = choice(data);
    const lines = compute(data, want);
    const found = ordered(wanted(want, lines), lines, want);
    const name = signature(want);
    const there = columnsShown(want);
    const hide = showColumns(want);
    const shown = found.slice(0, limit);
    const late = shown.filter((i) => (filled.get(i) ?? data.first) !== name);
    for (const i of late) rows[i].classList.add("stale");
    inTurns(late, (i) => {
      fill(data, rows[i], lines[i], want);
      lead(data, rows[i], lines[i], there, name === data.first);
      hide(rows[i].cells);
      rows[i].removeAttribute("class");
      filled.set(i, name);
    });
    const isSame = shown.length === tbody.rows.length && shown.every((i, at) => tbody.rows[at] === rows[i]);
    if (!isSame) tbody.replaceChildren(...shown.map((i) => rows[i]));
    tell(found.length);
    const what = SHOWN[want.show][Number(want.best)];
    document.getElementById("said").textContent = `${what} at ${settingWords(want)}`;
    if (data.versus !== name) showVersus(data, want, lines);
    data.versus = name;
  };

  const record = ([column, batch, kind, key, ns, grade, known, reach, mj = null, wrong = 0]) =>
    ({ column, batch, kind, key, ns, grade, known, reach, mj, wrong });

  const unpacked = (data) => {
    data.plain = new Set(data.works.flatMap(([key], i) => (key ? [] : [i])));
    data.models = data.models.map(([usual, runs]) => {
      const columns = {};
      for (const one of runs.map(record)) (columns[one.column] ??= []).push(one);
      return { usual, columns, works: new Set(runs.map((run) => data.cases[run[2]][0])) };
    });
    return data;
  };

  const started = (data) => {
    for (const control of Object.values(controls)) control.set(control.first);
    data.first = signature(choice(data));
    data.versus = data.first;
    const go = (isStep) => {
      if (isStep) history.pushState(null, "", address());
      else history.replaceState(null, "", address());
      show(data);
    };
    const box = document.getElementById("controls");
    box.addEventListener("change", (event) => { if (event.target.type !== "search") go(true); });
    box.addEventListener("input", (event) => { if (event.target.type === "search") go(false); });
    table.tHead.addEventListener("click", (event) => {
      const th = event.target.closest("button") && event.target.closest("th");
      if (!th) return;
      sorted = { by: th.dataset.by, down: falls(th) };
      go(true);
    });
    [...more.querySelectorAll("button")].forEach((button, all) => button.addEventListener("click", () => {
      limit = all ? Infinity : limit + WINDOW;
      go(true);
      // a button that is gone leaves the focus to the rows
      if (more.hidden) table.closest(".scroll").focus({ preventScroll: true });
    }));
    // what narrows the table goes; batch size, threads and the like stay
    noMatch.querySelector("button").addEventListener("click", () => {
      for (const name of ["find", "family", "task", "device", "runtime"]) controls[name].set("");
      go(true);
      document.getElementById("search").focus();
    });
    for (const event of ["popstate", "hashchange"]) {
      window.addEventListener(event, () => { if (read()) show(data); });
    }
    read();
    show(data);
  };

  // The first click shows the best systems, the largest numbers, or names from A; the next turns it.
  const falls = (th) => {
    const now = th.getAttribute("aria-sort");
    if (now) return now === "ascending";
    if (th.dataset.kind === "figure") return controls.show.get() === "throughput";
    return th.dataset.kind === "number";
  };

  window.onnxprof.board = (data) => started(unpacked(data));
})();
