"use strict";
// Sorting and filtering for every table; nothing here knows what a table is about.
(() => {
  document.documentElement.classList.add("js");

  const number = (count) => count.toLocaleString("en-US");
  const column = (th) => [...th.parentNode.children].indexOf(th);

  const key = (row, index, numeric) => {
    const cell = row.children[index];
    if (!numeric) return cell.textContent.trim();
    return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
  };

  const words = new Intl.Collator("en", { numeric: true });
  // Rows without a value stay last, whichever way the others go.
  const compare = (a, b, numeric, sign) => {
    if (a === b) return 0;
    if (a === null || a === "") return 1;
    if (b === null || b === "") return -1;
    return sign * (numeric ? a - b : words.compare(a, b));
  };

  // The first rows at once, the others frame by frame: a browser lays out what is moved anew.
  const AT_ONCE = 80;
  const turns = new WeakMap();
  const inTurns = (body, count, put) => {
    const turn = {};
    turns.set(body, turn);
    const next = (from) => {
      put(from, from + AT_ONCE);
      if (from + AT_ONCE >= count) return;
      // after a frame has been shown, not before
      requestAnimationFrame(() => setTimeout(() => {
        if (turns.get(body) === turn) next(from + AT_ONCE);
      }));
    };
    next(0);
  };
  const arrange = (body, rows) => inTurns(body, rows.length, (from, to) => {
    if (!from) body.prepend(...rows.slice(0, to));
    else if (rows[from - 1].parentNode === body) rows[from - 1].after(...rows.slice(from, to));
  });

  // Tables whose rows are made when they are shown: { count, row(i), key(i, column), text(i) }. The
  // page never holds more of them than were asked for. A source may say in which order rows stand
  // while no column is sorted (`natural`), how many a table opens with (`opening`), which are shown
  // without a search (`keep(i)`), and whether all are asked for (`whole`).
  const sources = new WeakMap();
  const sortedBy = (table) => table.tHead.querySelector("th[aria-sort]");

  // How many rows are shown: few until something is asked.
  const limitOf = ({ table, whole, limit, opening, words, only, window }) => {
    if (whole) return Infinity;
    return limit ?? (opening && !only && !words.length && !sortedBy(table) ? opening : window);
  };

  const controls = (table) => {
    const line = document.createElement("p");
    line.className = "more";
    line.hidden = true;
    const said = document.createElement("span");
    said.setAttribute("aria-live", "polite");
    const buttons = document.createElement("span");
    buttons.className = "buttons";
    line.append(said, buttons);
    for (const all of [false, true]) {
      const button = document.createElement("button");
      button.type = "button";
      button.addEventListener("click", () => ask(table, all));
      buttons.append(button);
    }
    table.closest(".scroll").after(line);
    return line;
  };

  const ask = (table, all) => {
    const had = limitOf(sources.get(table));
    const asking = new CustomEvent("onnxprof:all", { cancelable: true });
    // who keeps it elsewhere lays the table as well
    if (!all || table.dispatchEvent(asking)) {
      sources.get(table).limit = all ? Infinity : had + sources.get(table).window;
      lay(table, had);
    }
    // A button that is gone leaves the focus to the rows.
    if (sources.get(table).line.hidden) table.closest(".scroll").focus({ preventScroll: true });
  };

  const lay = (table, from = 0) => {
    const source = sources.get(table);
    const body = table.tBodies[0];
    const rows = source.shown.slice(0, limitOf(source));
    source.extra?.remove();
    source.extra = null;
    const kept = from ? body.rows.length : 0;
    if (!kept) body.replaceChildren();
    inTurns(body, rows.length - kept, (start, end) => {
      body.append(...rows.slice(kept + start, kept + end).map(source.row));
      if (source.extra) body.append(source.extra);
    });
    count(source);
    pin(table);
  };

  // A row that must be there, behind the others where it is none of them.
  const pin = (table, place = sources.get(table).pinned ?? null) => {
    const source = sources.get(table);
    source.pinned = place;
    source.extra?.remove();
    source.extra = null;
    const at = place === null ? 0 : source.shown.indexOf(place);
    if (at >= 0 && at < limitOf(source)) return;
    source.extra = source.row(place);
    table.tBodies[0].append(source.extra);
  };

  const count = (source) => {
    const { line, shown, opening, window } = source;
    const [said, buttons] = line.children;
    const limit = limitOf(source);
    const rest = shown.length - Math.min(limit, shown.length);
    line.hidden = !rest;
    if (!rest) return;
    said.textContent = limit === opening ? `The ${number(limit)} slowest of ${number(shown.length)} rows. `
      : `The first ${number(limit)} of ${number(shown.length)} rows. `;
    buttons.children[0].hidden = rest <= window;
    buttons.children[0].textContent = `Show ${number(window)} more`;
    buttons.children[1].textContent = `Show all ${number(shown.length)}`;
  };

  const choose = (source) => {
    const { words, only, order, text, keep } = source;
    const among = only ? order.filter((i) => only.has(i)) : order;
    // a search sees every row, and so does who looks into a part
    source.shown = words.length ? among.filter((i) => {
      const found = text(i).toLowerCase();
      return words.every((word) => found.includes(word));
    }) : keep && !only ? among.filter(keep) : among;
  };

  const sort = (th, direction) => {
    const table = th.closest("table");
    const numeric = th.dataset.sort === "number";
    const index = column(th);
    const sign = direction === "descending" ? -1 : 1;
    const body = table.tBodies[0];
    const source = sources.get(table);
    const rows = source ? source.order.map((i) => [source.key(i, index), i])
      : [...body.rows].map((row) => [key(row, index, numeric), row]);
    rows.sort((a, b) => compare(a[0], b[0], numeric, sign));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    th.setAttribute("aria-sort", direction);
    const sorted = rows.map((pair) => pair[1]);
    if (!source) { arrange(body, sorted); return; }
    source.order = sorted;
    choose(source);
    lay(table);
  };

  // The first click on a number shows the largest; a row number counts up.
  const next = (th) => {
    const now = th.getAttribute("aria-sort");
    if (now) return now === "ascending" ? "descending" : "ascending";
    const falls = th.dataset.sort === "number" && th.textContent.trim() !== "#";
    return falls ? "descending" : "ascending";
  };

  const asked = (table) => {
    const input = document.querySelector(`input[data-filter~="${table.id}"]`);
    return input ? input.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
  };

  const filter = (table) => {
    const words = asked(table);
    const source = sources.get(table);
    if (source) {
      source.words = words;
      choose(source);
      lay(table);
      tell(table, words.length || source.only, source.shown.length, source.count);
      return;
    }
    const rows = [...table.tBodies[0].rows];
    let shown = 0;
    for (const row of rows) {
      const text = row.dataset.text ?? row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    tell(table, words.length, shown, rows.length);
  };

  const tell = (table, narrowed, shown, all) => {
    const output = document.querySelector(`output[data-count="${table.id}"]`);
    if (!output) return;
    output.dataset.all ??= output.textContent;
    output.textContent = narrowed ? `${number(shown)} of ${number(all)}` : output.dataset.all;
  };

  const named = (list) => list.split(" ").map((id) => document.getElementById(id));

  // A table whose rows were replaced keeps its order and its filter.
  // A script that hands data over, since pages on disk can read nothing else; a page that is one file
  // (report.js) holds them all.
  const fetched = (path) => new Promise((done, fail) => {
    const script = document.createElement("script");
    script.onload = () => done();
    script.onerror = () => fail(new Error(`${path} could not be loaded`));
    script.src = path;
    document.head.append(script);
  });

  // A text in parts; an option of a command is one that stays on a line, as `_unbroken` in render.py.
  const unbroken = (text) => text.split(/(--\w[\w-]{0,38})/).map((part, i) => {
    if (i % 2 === 0) return part;
    const option = document.createElement("span");
    option.className = "o";
    option.textContent = part;
    return option;
  });

  // A name that breaks behind its separators, as `_isolated` in render.py.
  const UNBROKEN = 16;
  const isolated = (name) => {
    const node = document.createElement("bdi");
    if ([...name].length <= UNBROKEN) node.textContent = name;
    else node.append(...name.match(/[^/_.:-]*[/_.:-]+|[^/_.:-]+$/g)
      .flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part])));
    return node;
  };

  window.onnxprof = {
    unbroken,
    isolated,
    load: window.onnxprofHeld?.load ?? fetched,
    again(table) {
      const th = sortedBy(table);
      if (th) sort(th, th.getAttribute("aria-sort"));
      const input = document.querySelector(`input[data-filter~="${table.id}"]`);
      if (input && input.value) filter(table);
    },
    // What the rows are made from now on; `there` where the page holds the first of them already.
    // Rows of what they were `of` before keep the part that was looked into.
    rows(table, source, there = false) {
      const { line, limit = null, of, only } = sources.get(table) ?? { line: controls(table) };
      sources.get(table)?.extra?.remove();
      const made = {
        ...source, table, window: Number(table.dataset.window), words: [], line, limit,
        only: source.of && source.of === of ? only : null,
        order: source.natural ?? [...Array(source.count).keys()],
      };
      sources.set(table, made);
      choose(made);
      const sorted = sortedBy(table);
      if (sorted) sort(sorted, sorted.getAttribute("aria-sort"));
      else if (!there) lay(table);
      else count(made);
      if (asked(table).length) filter(table);
    },
    // Shows the row of this place, whatever else is shown; null for none.
    pin: (table, place) => { if (sources.has(table)) pin(table, place); },
    // No column is sorted from the next rows on: they stand in the order of their source.
    unsorted(table) { sortedBy(table)?.removeAttribute("aria-sort"); },
    // Of a table with a source these places alone, a Set; all of them for null.
    only(table, places) {
      const source = sources.get(table);
      if (!source || (source.only ?? null) === places) return;
      source.only = places;
      filter(table);
    },
  };

  document.addEventListener("click", (event) => {
    const th = event.target.closest("table.sortable th[data-sort]");
    if (th && event.target.closest("button")) sort(th, next(th));
  });
  document.addEventListener("input", (event) => {
    const { id, value, dataset } = event.target;
    if (!dataset.filter) return;
    history.replaceState({ ...history.state, typed: { ...history.state?.typed, [id]: value } }, "");
    named(dataset.filter).forEach(filter);
  });
  // What was typed is there again on Back and Forward.
  for (const input of document.querySelectorAll("[data-filter]")) {
    input.value = history.state?.typed?.[input.id] ?? input.value;
    if (input.value) named(input.dataset.filter).forEach(filter);
  }
})();
