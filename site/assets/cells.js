"use strict";
// Cells of the leaderboard, and systems against each other, under a choice of settings.
// The rules and the markup are those of onnxprof/publish/leaderboard and its template.
(() => {
  const ANY_THREADS = -1;

  const el = (tag, cls, ...content) => {
    const node = document.createElement(tag);
    if (cls) node.className = cls;
    node.append(...content);
    return node;
  };
  const svg = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };

  // Numbers: the same rules as onnxprof/publish/text/numbers.py.
  const decimals = (value, most = 3) => {
    if (!value || !Number.isFinite(value)) return 0;
    const exponent = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(3)))));
    return Math.min(most, Math.max(0, 2 - exponent));
  };
  // Of the double itself, as Python rounds it: a tie in binary goes to the even digit.
  const fixed = (value, digits) => {
    const text = value.toFixed(digits);
    const isTie = (value * 10 ** digits) % 1 === 0.5 && /50*$/.test(value.toFixed(digits + 30).slice(-30));
    const even = isTie && Number(text.at(-1)) % 2 ? (value - 0.5 / 10 ** digits).toFixed(digits) : text;
    const [whole, part] = even.split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
    return part === undefined ? grouped : `${grouped}.${part}`;
  };
  const three = (value, most = 3) => fixed(value, decimals(value, most));
  const counted = (count, one) => `${fixed(count, 0)} ${one}${count === 1 ? "" : "s"}`;

  // Which run a cell shows: as _cell and _unlike in board.py.
  const isAlike = (data, record, want, work) => {
    if (!want.best && record.batch !== want.batch) return false;
    const [itsWork, threads, written] = data.cases[record.kind];
    return itsWork === work && written === want.written
      && (threads === want.threads || threads === ANY_THREADS || want.threads === ANY_THREADS);
  };
  const unlike = (data, record, want, work) => {
    const [itsWork, threads, written, threadsText] = data.cases[record.kind];
    const words = want.best || record.batch === want.batch ? [] : [`batch ${record.batch}`];
    if (itsWork !== work) words.push(data.works[itsWork][1]);
    const matters = threads !== ANY_THREADS && want.threads !== ANY_THREADS;
    if (matters && threads !== want.threads) words.push(threadsText);
    if (written !== want.written) words.push(data.graphs[written]);
    return words;
  };

  // What is least where a system is best, of right outputs alone: ns or mJ; an item's where
  // the batch size is the best one.
  const cost = (record, want, show = want.show) => {
    if (record.wrong) return null;
    if (show === "energy") return record.mj;
    if (record.ns === null) return null;
    return want.best || show === "throughput" ? record.ns / record.batch : record.ns;
  };

  // As _batches in board.py.
  const batches = (alike, batch) => {
    const found = [...alike].sort((a, b) => a.batch - b.batch);
    const [least, most] = [found[0], found.at(-1)];
    if (found.length === 1) return [`only batch ${least.batch}`, least];
    if (most.batch < batch) return [`up to batch ${most.batch}`, most];
    if (least.batch > batch) return [`from batch ${least.batch}`, least];
    return [`only batches ${found.map((record) => record.batch).join(", ")}`, least];
  };

  const pick = (data, records, want, work, show = want.show) => {
    const alike = records.filter((record) => isAlike(data, record, want, work));
    if (alike.length === 1) return { record: alike[0] };
    if (alike.length) {
      const rank = (record) => cost(record, want, show) ?? Infinity;
      const known = (record) => Number(record.ns === null);
      const record = alike.reduce((a, b) => (rank(b) < rank(a)
        || (rank(a) === Infinity && rank(b) === Infinity && known(b) < known(a)) ? b : a));
      return { record };
    }
    const others = records.filter(({ ns }) => ns !== null)
      .map((record) => ({ record, words: unlike(data, record, want, work) }));
    if (!others.length) return {};
    const nearest = others.reduce((a, b) => (b.words.length < a.words.length ? b : a));
    if (want.best || nearest.record.batch === want.batch) {
      return { other: nearest.record, apart: `only ${nearest.words.join(", ")}` };
    }
    const [sizes, other] = batches(others.map(({ record }) => record)
      .filter(({ kind }) => kind === nearest.record.kind), want.batch);
    return { other, apart: [sizes, ...nearest.words.slice(1)].join(", ") };
  };

  // As _is_faster in board.py; energy has no interval, so that the least of it is best.
  const isBetter = (data, want, one, other) => {
    if (want.show === "energy") return other.cost > one.cost;
    const [ours, theirs] = [one.record.reach, other.record.reach];
    if (ours === null || theirs === null) return false;
    return Math.log(other.cost / one.cost) - Math.hypot(ours, theirs) > Math.log(1 + data.threshold);
  };

  // Cells: the markup of templates/parts/leaderboard.html.
  const bar = (share) => {
    const box = svg("svg", {
      class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true",
    });
    box.append(svg("rect", { width: Math.round(share * 1000) / 10, height: 10 }));
    return box;
  };

  // The figure, and the most decimals that it has.
  const figure = (record, want, best) => {
    const items = record.batch;
    if (want.show === "energy") return [record.mj, 3];
    if (want.show === "throughput") return [(items * 1e9) / record.ns, 3];
    const ns = want.best ? record.ns / items : record.ns;
    if (want.show === "relative") return [record.wrong ? null : ns / best, 3];
    return [ns / 1e6, 4];
  };

  const link = (data, row, record, cls, ...content) => {
    const node = el("a", cls, ...content);
    node.setAttribute("href", pageOf(row) + fragment(data, record));
    return node;
  };
  const pageOf = (row) => row.querySelector("th a").getAttribute("href").split("#")[0];
  const fragment = (data, record) => `#${data.keys[record.key]}/${record.batch}`;

  // A model's name leads to what its row shows: its best run, else the first; to the plain page
  // where nothing was chosen, as the builder has it.
  const lead = (data, row, line, there, isPlain) => {
    const shown = line.cells.filter((cell, i) => there[i] && cell.record);
    const cell = shown.find(({ share }) => share === 1) ?? shown.find((each) => each.cost) ?? shown[0];
    row.querySelector("th a").setAttribute(
      "href", pageOf(row) + (isPlain || !cell ? "" : fragment(data, cell.record)));
  };

  const cellOf = (data, row, cell, want, best) => {
    if (cell.other) {
      return el("td", "none", link(data, row, cell.other, "quiet", cell.apart));
    }
    const { record } = cell;
    if (!record) return el("td", "none", "not measured");
    if (record.ns === null) return el("td", "none", "failed");
    const [value, most] = figure(record, want, best);
    if (value === null) return el("td", "none", record.wrong ? "wrong outputs" : "not measured");
    const text = three(value, most);
    const td = el("td", cell.wins ? "win" : "");
    td.title = `${fixed(record.ns, 0)} ns, ${data.texts[record.known]}`
      + (record.wrong ? `; wrong outputs: ${data.texts[record.wrong]}` : "");
    const shown = record.wrong ? el("s", "", text) : text;
    td.append(link(data, row, record, `quiet d${decimals(value, most)}`, shown));
    if (record.grade) {
      td.append(el("span", `grade ${data.grades[record.grade]}`, el("span", "", data.grades[record.grade])));
    }
    if (want.best) td.append(el("small", "", `b${record.batch}`));
    if (cell.share) td.append(bar(cell.share));
    return td;
  };

  const fill = (data, row, line, want) => {
    const head = row.cells[0];
    head.querySelector("small")?.remove();
    const plain = data.plain.has(line.work);
    if (head.lastChild.nodeType === Node.TEXT_NODE) head.lastChild.remove();
    if (!plain) head.append(" ", el("small", "", el("bdi", "", data.works[line.work][1])));
    // The catalogue's MACs are of the sizes that the row came with.
    row.cells[line.cells.length + 3].classList.toggle("elsewhere", !line.isUsual);
    line.cells.forEach((cell, i) => {
      row.cells[1 + i].replaceWith(cellOf(data, row, cell, want, line.best));
    });
  };

  const settingWords = (want) => [
    want.best ? "the best batch size of each" : `batch ${want.batch}`,
    ...(want.threads === ANY_THREADS ? []
      : [want.threads ? `${want.threads} thread${want.threads === 1 ? "" : "s"}` : "threads not known"]),
    ...(want.written ? ["graphs as written"] : []),
  ].join(", ");

  // Systems against each other: as versus.py.
  const TINTS = [1.05, 1.5, 3];
  const tint = (mean, models) => {
    if (models < 2) return "few";
    const size = Math.max(mean, 1 / mean);
    const steps = TINTS.filter((bound) => size >= bound).length;
    return steps ? `${mean > 1 ? "up" : "down"}${steps}` : "even";
  };
  const versus = document.getElementById("versus");
  const showVersus = (data, want, lines) => {
    if (!versus) return;
    const times = want.show !== "energy" ? lines.map(({ cells }) => cells)
      : lines.map(({ work, cells }, m) => cells.map((_, i) =>
        pick(data, data.models[m].columns[i] ?? [], want, work, "latency")));
    const logs = times.map((cells) => cells.map(({ record }) => {
      const ns = record ? cost(record, want, "latency") : null;
      return ns ? Math.log(ns) : null;
    }));
    [...versus.tBodies[0].rows].forEach((row, i, all) => all.forEach((_, j) => {
      if (i !== j) putRatio(row.cells[1 + j], logs, i, j, want.threads);
    }));
    document.getElementById("versus-said").textContent = `at ${settingWords(want)}`;
  };
  // The page of two systems at these threads, as _ratio in versus.py.
  const pairPage = (td, threads) => {
    const pages = new Map(td.dataset.pages.split(" ").filter(Boolean).map((one) => {
      const [count, name] = one.split("=");
      return [Number(count), name];
    }));
    return pages.get(threads) ?? pages.get(ANY_THREADS);
  };
  const putRatio = (td, logs, i, j, threads) => {
    const both = logs.filter((its) => its[i] !== null && its[j] !== null).map((its) => its[j] - its[i]);
    const mean = both.length ? Math.exp(both.reduce((a, b) => a + b, 0) / both.length) : 0;
    const text = both.length ? three(mean) : "none";
    td.className = tint(mean, both.length);
    const page = pairPage(td, threads);
    const shown = page ? el("a", "quiet", text) : document.createTextNode(text);
    if (page) shown.setAttribute("href", `pairs/${page}.html`);
    td.firstChild.replaceWith(shown);
    td.querySelector("small").textContent = counted(both.length, "model");
  };

  window.onnxprof.cells = { ANY_THREADS, fixed, isBetter, pick, cost, fill, lead, settingWords, showVersus };
})();
