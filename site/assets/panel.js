"use strict";
// All that is known of the layer that is chosen, beside the page. Names are text, whatever they hold.
(() => {
  const {
    data, el, bar, isolated, rowOf, three, percent, unitFor, ask, current, layersOf, homesOf,
    layerLink, wholeOf,
  } = window.onnxprof.model;
  const { selection } = window.onnxprof;
  const at = (id) => document.getElementById(id);
  const [box, head, body] = [at("chosen"), at("chosen-name"), at("chosen-body")];
  const MOST_LINKS = 12;
  // The run that the page came with: layers.js numbers the tensors of its table.
  const first = Math.max(data.runs.findIndex((run) => !run.fail), 0);

  const cached = (make) => {
    const known = new Map();
    return (key) => {
      if (!known.has(key)) known.set(key, make(key));
      return known.get(key);
    };
  };
  const homes = cached(homesOf);
  const places = cached((layers) => new Map(layers.map(([name], i) => [name, i])));
  const placeOf = (run, name) => places(layersOf(run)).get(name);

  // The row that has the time of a layer's step: its number, its words, how many layers it covers.
  const stepOf = (run, name) => {
    const home = homes(run).get(placeOf(run, name));
    if (home === undefined) return null;
    const layers = [...homes(run).values()].filter((row) => row === home).length;
    return { home, layers, ...rowOf(run, home) };
  };
  const time = (run, ns) => {
    const [unit, one] = unitFor(run.total || 1);
    return `${three(ns / one)} ${unit}`;
  };
  const PREFIXES = [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]];
  const scaled = (value, unit) => {
    const [prefix, factor] = PREFIXES.find(([, least]) => value >= least) ?? ["", 1];
    return `${three(value / factor)} ${prefix}${unit}`;
  };

  // Pairs of a term and what is told of it; what is not known is left out.
  const facts = (pairs) => {
    const list = el("dl", "facts");
    for (const [term, ...told] of pairs) {
      if (told.some((part) => part !== null && part !== "")) {
        list.append(el("dt", "", term), el("dd", "", ...told.filter((part) => part !== null)));
      }
    }
    return list;
  };
  const part = (title, ...content) => {
    const kept = content.filter((node) => node?.childNodes.length);
    return kept.length ? [el("h3", "", title), ...kept] : [];
  };
  const layerList = (names) => {
    const list = el("ul", "plain");
    for (const name of names.slice(0, MOST_LINKS)) {
      const link = layerLink(name);
      link.removeAttribute("tabindex");
      link.dataset.layer = name;
      list.append(el("li", "", link));
    }
    if (names.length > MOST_LINKS) list.append(el("li", "soft", `${names.length - MOST_LINKS} more`));
    return list;
  };
  const table = (heads, rows) => {
    const made = el("table", "");
    const heading = (text, i) => {
      if (!text) return el("td");
      const node = el("th", i ? "r" : "", text);
      node.scope = "col";
      return node;
    };
    const top = el("tr", "", ...heads.map(heading));
    made.append(el("thead", "", top), el("tbody", "", ...rows.map(([first, ...rest]) => {
      const name = el("th", "", first);
      name.scope = "row";
      return el("tr", "", name, ...rest.map((value) => el("td", "", value)));
    })));
    return made;
  };
  const runLink = (run, text) => {
    const link = el("a", "", text);
    link.href = `#${data.systems[run.sys].key}/${run.batch}`;
    if (run === current()) link.setAttribute("aria-current", "true");
    return link;
  };

  const rankOf = (run, home) => {
    const timed = run.m.slice(0, -run.sums).filter((ns) => ns !== null);
    return `${timed.filter((ns) => ns > run.m[home]).length + 1} of ${timed.length}`;
  };
  // What the status says beyond `timed` or `timed, 3 layers`: why the rank is in doubt.
  const doubt = (step) => step.status.split(", ").slice(step.layers > 1 ? 2 : 1).join(", ");
  const inRun = (run, name) => {
    const layers = layersOf(run);
    const first = [
      ["Operator", layers[placeOf(run, name)][1]],
      ["Place in the file", `${placeOf(run, name) + 1} of ${layers.length}`],
    ];
    if (run.fail) return facts([...first, ["Time", "this measurement failed"]]);
    const step = stepOf(run, name);
    if (!step) return facts([...first, ["Time", "none: not executed"]]);
    if (step.m === null) return facts([...first, ["Time", step.status], ["Step", isolated(step.step)]]);
    const spread = step.lo === null ? "" : `, p5 to p95 ${time(run, step.lo)} to ${time(run, step.hi)}`;
    return facts([
      ...first,
      ["Time", `${time(run, step.m)}${step.layers > 1 ? ` for ${step.layers} layers` : ""}${spread}`],
      ["Share", `${percent(step.share ?? 0)} % of ${wholeOf(run)}`],
      ["Rank", `${rankOf(run, step.home)} by time`],
      ["In doubt", doubt(step)],
      ["Step", step.step ? isolated(step.step) : ""],
    ]);
  };

  // The run's cell of a column of facts.js for a row.
  const factOf = (known, run, key, row) => {
    const column = known?.runs[data.runs.indexOf(run)]?.[key];
    return column === undefined ? null : known.columns[column][row];
  };
  const possible = (known, run, row) => {
    const share = factOf(known, run, "part", row);
    return share === null ? null : `${share >= 0.005 ? Math.round(100 * share) : "<1"} %`;
  };
  // facts.js has the page's own runs; an earlier one brings the figures of its rows.
  const workOfPast = (run, name) => {
    const why = run.fail ? null : stepOf(run, name)?.why;
    const amount = (value, unit) => (value ? scaled(value, unit) : "");
    return facts(why ? [
      ["MACs", amount(why.macs, "")], ["Moves", amount(why.bytes, "B")], ["Bound by", why.bound],
      ["Of possible", why.part ? `${why.part} %` : ""],
    ] : []);
  };
  const work = (known, run, name) => {
    if (run.stamp) return workOfPast(run, name);
    const step = run.fail ? null : stepOf(run, name);
    if (!step) return facts([]);
    const of = (key) => factOf(known, run, key, step.home);
    const amount = (key, unit) => (of(key) ? scaled(of(key), unit) : "");
    return facts([
      ["Operations", amount("flops", "FLOP")], ["Moves", amount("bytes", "B")],
      ["Bound by", of("bound") ?? ""], ["Of possible", possible(known, run, step.home) ?? ""],
      ["Activations in memory", amount("alive", "B")],
    ]);
  };

  // Where a system ran more than one setting at a size, the first stands for it, as in the chooser.
  const runsOf = (sys) => data.runs.filter((run) => run.sys === sys)
    .filter((run, i, all) => all.findIndex((each) => each.batch === run.batch) === i);
  const timed = (runs, name) => runs.filter((run) => !run.fail)
    .map((run) => [run, stepOf(run, name)]);
  const runtimes = (known, run, name) => {
    const runs = data.systems.map((_, sys) => runsOf(sys).find((each) => each.batch === run.batch))
      .filter(Boolean);
    const found = timed(runs, name);
    if (found.length < 2) return el("p", "");
    const parts = found.map(([each, step]) => (step ? possible(known, each, step.home) : null));
    const has = parts.some((value) => value !== null);
    return table(["Runtime", "Time", "Share, %", "Layers", ...(has ? ["Of possible"] : [])],
      found.map(([each, step], i) => [
        runLink(each, data.systems[each.sys].short),
        !step ? "none" : step.m === null ? step.status : time(each, step.m),
        step?.share ? percent(step.share) : "", step?.m ? String(step.layers) : "",
        ...(has ? [parts[i] ?? ""] : []),
      ]));
  };
  const sizes = (run, name) => {
    const found = timed(runsOf(run.sys), name).filter(([, step]) => step?.m);
    if (found.length < 2) return el("p", "");
    const each = found.map(([one, step]) => step.m / one.batch);
    const most = Math.max(...each);
    return table(["Batch", "Time", "Per item, µs", "Share, %", ""], found.map(([one, step], i) => [
      runLink(one, String(one.batch)), time(one, step.m), three(each[i] / 1e3), percent(step.share),
      bar(each[i] / most),
    ]));
  };

  // From layers.js: tensors by number; a layer's neighbours make what it reads, or read what it makes.
  const around = (found, run, name) => {
    const row = found.name.findIndex((each, i) => each === name && found.words[found.op[i]]);
    if (row < 0) return [];
    const tensors = data.tables[run.table].set === data.tables[data.runs[first].table].set
      ? data.tables[run.table].shapes : [];
    const shaped = (numbers) => {
      const list = el("ul", "plain");
      for (const t of numbers) {
        list.append(el("li", "", isolated(found.tensors[t]), " ", el("span", "soft", tensors[t] ?? "")));
      }
      return list;
    };
    const isLayer = (i) => i !== row && found.words[found.op[i]];
    const linked = (mine, theirs) => {
      const wanted = new Set(found[mine][row]);
      return found.name.filter((_, i) => isLayer(i) && found[theirs][i].some((t) => wanted.has(t)));
    };
    const attributes = found.attributes[found.attrs[row]];
    return [
      ...part("Reads", shaped(found.in[row])), ...part("Makes", shaped(found.out[row])),
      ...part("Attributes", facts(attributes.map(([key, value]) => [key, isolated(value)]))),
      ...part("Layers before", layerList(linked("in", "out"))),
      ...part("Layers after", layerList(linked("out", "in"))),
    ];
  };
  const steps = (name) => {
    const together = selection.step(name).filter((each) => each !== name);
    return part("In one step with", layerList(together));
  };
  const beside = (run, name) => {
    const layers = layersOf(run);
    const place = placeOf(run, name);
    const line = el("p", "pair");
    for (const [word, layer] of [["Previous", layers[place - 1]], ["Next", layers[place + 1]]]) {
      if (!layer) continue;
      const link = layerLink(layer[0], word);
      link.removeAttribute("tabindex");
      link.dataset.layer = layer[0];
      link.title = layer[0];
      line.append(link);
    }
    for (const [word, id] of [["In the table", "timing"], ["In the plot", "plot"]]) {
      const link = el("a", "", word);
      link.href = `#${id}`;
      line.append(link);
    }
    return line;
  };

  const fill = (run, name) => {
    const later = { work: el("div"), runtimes: el("div"), around: el("div") };
    body.replaceChildren(
      beside(run, name), inRun(run, name), later.work, ...steps(name), later.runtimes,
      ...part(`Over batch sizes, ${data.systems[run.sys].short}`, run.fail ? null : sizes(run, name)),
      later.around);
    const isHere = () => selection.current() === name && current() === run && later.work.isConnected;
    const several = (known) =>
      later.runtimes.replaceChildren(...part(`On each runtime, batch ${run.batch}`, runtimes(known, run, name)));
    several(null);
    const missing = (place) => (error) => { place.replaceChildren(el("p", "failure", `${error.message}.`)); };
    ask("facts", 0, "facts.js").then((known) => {
      if (!isHere()) return;
      later.work.replaceChildren(work(known, run, name));
      several(known);
    }).catch(missing(later.work));
    ask("layers", 0, "layers.js").then((found) => {
      if (isHere()) later.around.replaceChildren(...around(found, run, name));
    }).catch(missing(later.around));
  };

  let opener = null;
  let shown = null;
  const hasFocus = () => box.contains(document.activeElement);
  const isThere = (element) => element?.isConnected && element.checkVisibility?.() !== false;
  // Back to what opened it, else to the layer's row, else to the table.
  const giveBack = (name, quietly) => {
    const frame = at("timing-table").closest(".scroll");
    const row = [...frame.querySelectorAll("tbody tr[data-layer]")].find((tr) => tr.dataset.layer === name);
    const to = [opener, row?.querySelector("a.layer"), frame, document.querySelector("h1")].find(isThere);
    if (to?.tagName === "H1") to.tabIndex = -1;
    to?.focus({ preventScroll: quietly });
  };
  const close = (quietly) => {
    const [held, name] = [hasFocus(), shown];
    const isLost = held || document.activeElement === document.body;
    box.hidden = true;
    shown = null;
    if (isLost) giveBack(name, quietly || !held);
    opener = null;
  };
  const open = (name, focus) => {
    if (!hasFocus() && document.activeElement !== document.body) opener = document.activeElement;
    const held = hasFocus();
    const run = current();
    shown = name;
    head.replaceChildren(isolated(name));
    box.hidden = false;
    if (placeOf(run, name) === undefined) {
      body.replaceChildren(el("p", "note", "The run that is shown has no layer of this name."));
    } else {
      fill(run, name);
    }
    box.scrollTop = 0;
    if (focus || held) head.focus({ preventScroll: true });
  };

  let quietly = false;
  selection.onChange((name, { focus }) => { if (name === null) close(quietly); else open(name, focus); });
  document.addEventListener("onnxprof:shown", () => { if (shown !== null) open(shown, false); });
  at("chosen-close").addEventListener("click", (event) => {
    quietly = event.detail > 0;
    selection.choose(null);
    quietly = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || shown === null) return;
    if (event.target.matches?.("input, select") && event.target.value) return;
    event.preventDefault();
    selection.choose(null);
  });
})();
