"use strict";
// Where the time goes: the icicle and the bars by operator, for the run that is shown. As
// onnxprof/publish/icicle draws them, from the numbers of the page; a scope can be gone into.
(() => {
  const stage = document.getElementById("icicle");
  if (!stage) return;
  const { address } = window.onnxprof;
  const { data, current } = window.onnxprof.model;
  const { el, svg, bar, three, percent, short, unitFor } = window.onnxprof.figures;
  const { KEYS, grown, laidOut, rowsWithin, keysOf, resolved, sum, words, layersOf } = window.onnxprof.scopes;
  const rules = JSON.parse(stage.dataset.rules);
  const table = document.getElementById("timing-table");
  const trail = document.getElementById("where-trail");
  const said = document.getElementById("where-said");
  const operators = document.getElementById("operators");
  const operatorsOf = document.getElementById("operators-of");
  const LEVEL = rules.level;

  const told = (tree, it) => {
    const [unit, size] = unitFor(tree.run.total);
    const name = it === tree.root ? "all" : it.rest ? it.name : it.where;
    const share = tree.run.total ? `, ${percent(it.ns / tree.run.total)} %` : "";
    const isStep = it.row >= 0 || tree.closing.includes(it);
    const steps = isStep ? "" : `, ${words(it.steps)} step${it.steps === 1 ? "" : "s"}`;
    return `${short(name, rules.longest)}: ${three(it.ns / size)} ${unit}${share}${steps}`;
  };
  const per = (share) => `${Number((100 * share).toFixed(3))}%`;
  const heat = (share) => `h${rules.shares.filter((least) => share >= least).length}`;

  const rectangle = (tree, [it, level, start], whole, i) => {
    const width = it.ns / whole;
    const isClosing = tree.closing.includes(it);
    const text = told(tree, it);
    const link = svg("a", { href: isClosing ? rules.closing : "#timing" });
    if (level || i) link.setAttribute("tabindex", "-1");
    const layer = it.row < 0 ? undefined : tree.names.get(it.row)[0];
    if (layer !== undefined) link.dataset.layer = layer;
    link.setAttribute("aria-label", text);
    const title = svg("title", {});
    title.textContent = text;
    const thin = width >= rules.text && width < rules.wide ? " thin" : "";
    const cls = (isClosing ? "cold" : heat(tree.run.total ? it.ns / tree.run.total : 0)) + thin;
    const box = svg("svg", {
      class: cls, x: per(start / whole), y: LEVEL * level, width: per(width), height: LEVEL - 1,
    });
    box.append(svg("rect", { width: "100%", height: "100%" }));
    if (width >= rules.text) {
      const label = svg("text", { x: 5, y: 15 });
      label.textContent = short(it.name, rules.label);
      box.append(label);
    }
    link.append(title, box);
    return link;
  };

  let tree = null;
  let focus = null;
  let marked = null;
  let shown = [];
  let links = [];

  const draw = () => {
    const whole = focus === tree.root ? tree.whole : focus.ns;
    shown = whole ? laidOut(tree, focus) : [];
    links = shown.map((each, i) => rectangle(tree, each, whole, i));
    const levels = shown.reduce((most, [, level]) => Math.max(most, level + 1), 0);
    const picture = svg("svg", {
      class: "icicle", width: "100%", height: LEVEL * levels, role: "document",
      "aria-label": "Time by module scope",
    });
    picture.append(...links);
    stage.replaceChildren(...(whole ? [picture] : []));
    mark();
  };
  const mark = () => {
    shown.forEach(([it], i) => links[i].classList.toggle("chosen", it === marked));
  };

  // The rows that the table below shows: those of the steps within, and of layers fused into them.
  const chosen = () => marked ?? focus;
  const narrowTable = () => {
    if (chosen() === tree.root) { window.onnxprof.only(table, null); return; }
    const rows = rowsWithin(chosen());
    const all = tree.homes.flatMap((home, i) => (rows.has(home) ? [i] : []));
    window.onnxprof.only(table, new Set(all));
  };

  const crumb = (it) => {
    const button = el("button", "", it === tree.root ? "all" : short(it.name, 40));
    button.type = "button";
    button.addEventListener("click", () => { go(it); trail.querySelector("[aria-current]")?.focus(); });
    if (it === chosen()) button.setAttribute("aria-current", "true");
    return el("li", "", button);
  };
  const showTrail = () => {
    const line = [];
    for (let it = chosen(); it; it = it.up) line.unshift(it);
    trail.hidden = line.length < 2;
    trail.replaceChildren(...line.map(crumb));
    said.textContent = line.length < 2 ? ""
      : `${told(tree, line[line.length - 1])}. The table below shows these rows alone.`;
    const { where, name } = line[line.length - 1];
    operatorsOf.textContent = line.length < 2 ? "" : `in ${short(where || name, 60)}`;
  };

  // What the address says of the scope, as it was last read or written.
  let laid = "";
  const asked = () => Object.fromEntries(KEYS.map((key) => [key, address.get(key)]));
  const write = (push) => {
    const keys = keysOf(focus, marked);
    laid = JSON.stringify(keys);
    if (laid !== JSON.stringify(asked())) address.set(keys, { push });
  };

  // A scope fills the width; a step is marked where it stands. Back undoes either.
  const go = (it) => {
    const isStep = it.row >= 0;
    marked = isStep ? it : null;
    const wanted = isStep ? focus : it;
    if (wanted !== focus || !links.length) { focus = wanted; draw(); } else mark();
    narrowTable();
    showOperators();
    showTrail();
    write(true);
  };

  const showOperators = () => {
    const { run } = tree;
    const isWhole = chosen() === tree.root;
    const rows = rowsWithin(chosen());
    const kinds = new Map(run.k);
    const sums = new Map();
    tree.names.forEach((_, row) => {
      if (!isWhole && !rows.has(row)) return;
      const layer = layersOf(run)[run.l[row]];
      const own = layer ? layer[1] : data.names[run.o[row]];
      const name = kinds.has(row) ? data.names[kinds.get(row)] : own;
      const [ns, steps] = sums.get(name) ?? [0, 0];
      sums.set(name, [ns + run.m[row], steps + 1]);
    });
    let found = [...sums].map(([name, [ns, steps]]) => ({ name, ns, steps })).sort((a, b) => b.ns - a.ns);
    if (found.length > rules.operators + 1) {
      const rest = found.splice(rules.operators);
      found.push({ name: `${rest.length} others`, ns: sum(rest, "ns"), steps: sum(rest, "steps") });
    }
    if (isWhole) found = [...found, ...tree.closing.map(({ name, ns }) => ({ name, ns, steps: 0 }))];
    const most = Math.max(1, ...found.map(({ ns }) => ns));
    const [unit, size] = unitFor(run.total);
    operators.replaceChildren(...found.map(({ name, ns, steps }) => el("li", steps ? "" : "soft",
      el("span", "name", window.onnxprof.isolated(name), ...(steps ? [" ", el("span", "op", `×${words(steps)}`)] : [])),
      el("span", "figure", `${three(ns / size)} ${unit}`),
      el("span", "figure", run.total ? `${percent(ns / run.total)} %` : ""), bar(ns / most))));
  };

  // From one run to the next the scope stays, as far as there is one of its name: the address has it.
  const show = () => {
    const run = current();
    if (run.fail) return;
    const isThere = !tree && stage.querySelector(".icicle") && stage.dataset.run === `${run.sys}/${run.batch}`;
    tree = grown(run);
    ({ focus, marked } = resolved(tree, asked()));
    if (isThere && focus === tree.root) {
      shown = laidOut(tree, focus);
      links = [...stage.querySelectorAll("a")];
      mark();
    } else {
      draw();
    }
    if (!isThere || chosen() !== tree.root) {
      showOperators();
      narrowTable();
    }
    showTrail();
    write(false);
  };

  stage.addEventListener("click", (event) => {
    const i = links.indexOf(event.target.closest("a"));
    if (i < 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const [it] = shown[i];
    if (tree.closing.includes(it)) return;
    event.preventDefault();
    const byKey = event.detail === 0;
    if (it === marked) go(focus); else go(it === focus && it.up ? it.up : it);
    const layer = it.row < 0 ? undefined : links[i].dataset.layer;
    if (layer !== undefined) {
      window.onnxprof.selection?.choose(it === marked ? layer : null, { push: false });
    }
    if (byKey) reach(Math.max(0, shown.findIndex(([other]) => other === chosen())));
  });

  // One stop for the Tab key; arrows go from there.
  const reach = (i) => {
    if (!links[i]) return;
    for (const link of links) link.setAttribute("tabindex", "-1");
    links[i].removeAttribute("tabindex");
    links[i].focus();
  };
  const beside = (i, by) => {
    for (let k = i + by; shown[k]; k += by) if (shown[k][1] === shown[i][1]) return k;
    return i;
  };
  const MOVES = {
    ArrowLeft: (i) => beside(i, -1), ArrowRight: (i) => beside(i, 1),
    ArrowDown: (i) => (shown[i + 1]?.[1] > shown[i][1] ? i + 1 : i),
    ArrowUp: (i) => {
      for (let k = i; k >= 0; k -= 1) if (shown[k][1] < shown[i][1]) return k;
      return i;
    },
    Home: () => 0, End: () => shown.length - 1,
  };
  stage.addEventListener("keydown", (event) => {
    const i = links.indexOf(document.activeElement);
    if (i < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && (marked || focus.up)) {
      event.preventDefault();
      go(marked ? focus : focus.up);
      reach(0);
    } else if (MOVES[event.key]) {
      event.preventDefault();
      reach(MOVES[event.key](i));
    }
  });

  // One stop from the start: the page without scripts has one for each rectangle of the first row.
  const alone = () => links.forEach((link, i) => {
    if (i) link.setAttribute("tabindex", "-1"); else link.removeAttribute("tabindex");
  });

  document.addEventListener("onnxprof:shown", show);
  // Another run has been shown by now, and its scope with it.
  window.addEventListener("hashchange", () => {
    if (JSON.stringify(asked()) !== laid) show();
  });
  show();
  alone();
})();
