"use strict";
// Where the time goes: the icicle and the bars by operator, for the run that is shown. As
// onnxprof/publish/icicle draws them, from the numbers of the page; a scope can be gone into.
(() => {
  const stage = document.getElementById("icicle");
  if (!stage) return;
  const { data, el, svg, bar, three, percent, unitFor, current } = window.onnxprof.model;
  const rules = JSON.parse(stage.dataset.rules);
  const table = document.getElementById("timing-table");
  const trail = document.getElementById("where-trail");
  const said = document.getElementById("where-said");
  const operators = document.getElementById("operators");
  const LEVEL = rules.level;

  const part = (name, where, more) => ({
    name, where, ns: 0, steps: 0, row: -1, members: [], up: null, ...more,
  });
  const layersOf = (run) => data.sets[data.tables[run.table].set];
  const rowsOf = (run) => run.m.length - run.sums;
  const statusOf = (run, i) => data.names[run.s[i]];

  // For each row the row that has its step's time; -1 for one without.
  const homesOf = (run) => {
    let fused = 0;
    return Array.from({ length: rowsOf(run) }, (_, i) => {
      const home = statusOf(run, i) === "fused" ? run.h[fused++] : i;
      return home >= 0 && run.m[home] !== null ? home : -1;
    });
  };
  // The names of the layers of each step, by the row of its time.
  const stepsOf = (run, homes) => {
    const steps = new Map();
    homes.forEach((home, i) => { if (home === i) steps.set(i, []); });
    homes.forEach((home, i) => {
      if (home >= 0 && run.l[i] >= 0) steps.get(home).push(layersOf(run)[run.l[i]][0]);
    });
    return steps;
  };

  // Names by their parts, split as scopes.paths does.
  const stripped = (name, mark) => {
    let [from, to] = [0, name.length];
    while (from < to && name[from] === mark) from += 1;
    while (to > from && name[to - 1] === mark) to -= 1;
    return name.slice(from, to);
  };
  const paths = (names) => {
    const slashed = names.filter((name) => stripped(name, "/").includes("/")).length;
    const mark = 2 * slashed > names.length ? "/" : ".";
    return new Map(names.map((name) => {
      const parts = stripped(name, mark).split(mark);
      const { deepest } = rules;
      return [name, parts.length <= deepest + 1 ? parts
        : [...parts.slice(0, deepest), parts.slice(deepest).join(mark)]];
    }));
  };

  const words = (number) => number.toLocaleString("en-US");
  const place = (run, row, layers) => {
    if (!layers.length) return [[rules.no_layer], data.names[run.n[row]]];
    const shared = layers.slice(1).reduce((scope, path) => {
      const differs = scope.findIndex((name, i) => i >= path.length - 1 || path[i] !== name);
      return differs < 0 ? scope : scope.slice(0, differs);
    }, layers[0].slice(0, -1));
    const kept = layers.length <= rules.named ? layers : layers.slice(0, rules.named - 1);
    const ends = kept.map((path) => path.slice(shared.length).join("/"));
    if (kept.length < layers.length) ends.push(`${layers.length - kept.length} more`);
    return [shared, ends.join(" + ")];
  };

  const sum = (parts, key) => parts.reduce((all, each) => all + each[key], 0);
  const joined = (it) => {
    if (it.members.length !== 1) return it;
    const [only] = it.members;
    return { ...only, name: `${it.name}/${only.name}` };
  };
  const tidied = (it) => {
    const members = it.members.map((member) => joined({ ...member, members: tidied(member) }));
    if (members.length <= rules.most) return members;
    const size = Math.ceil(Math.sqrt(members.length));
    return Array.from({ length: Math.ceil(members.length / size) }, (_, i) => {
      const chunk = members.slice(i * size, (i + 1) * size);
      const name = `${chunk[0].name} … ${chunk[chunk.length - 1].name}`;
      const where = [it.where, name].filter(Boolean).join("/");
      return part(name, where, { ns: sum(chunk, "ns"), steps: sum(chunk, "steps"), members: chunk });
    });
  };
  const linked = (it) => {
    for (const member of it.members) { member.up = it; linked(member); }
    return it;
  };

  const closingOf = (run) => {
    const found = [];
    for (let i = rowsOf(run); i < run.m.length; i += 1) {
      if (statusOf(run, i) !== "total" && run.m[i] > 0) {
        const name = data.names[run.n[i]];
        found.push(part(name, name, { ns: run.m[i] }));
      }
    }
    return found;
  };

  const grown = (run) => {
    const homes = homesOf(run);
    const steps = stepsOf(run, homes);
    const known = paths([...steps.values()].flat());
    const root = part("", "");
    const scopes = new Map([["", root]]);
    for (const [row, names] of steps) {
      const [scope, label] = place(run, row, names.map((name) => known.get(name)));
      const line = [root];
      scope.forEach((name, i) => {
        const key = JSON.stringify(scope.slice(0, i + 1));
        if (!scopes.has(key)) {
          scopes.set(key, part(name, scope.slice(0, i + 1).join("/")));
          line[i].members.push(scopes.get(key));
        }
        line.push(scopes.get(key));
      });
      const leaf = part(label, [...scope, label].join("/"), { row });
      line[scope.length].members.push(leaf);
      for (const each of [...line, leaf]) { each.ns += run.m[row]; each.steps += 1; }
    }
    const closing = closingOf(run);
    const tree = linked({ ...root, members: tidied(root) });
    return { run, homes, names: steps, root: tree, closing, whole: tree.ns + sum(closing, "ns") };
  };

  // Rectangles of a row and those within: [part, level, nanoseconds from the left].
  const gathered = (rest, up) => part(`${words(sum(rest, "steps"))} smaller`, "", {
    ns: sum(rest, "ns"), steps: sum(rest, "steps"), members: rest, up, rest: true,
  });
  const inRow = (members, level, from, whole, into) => {
    const narrow = (it) => it.ns < rules.least * whole;
    let rest = members.filter(narrow);
    // the scope's own rectangle says as much
    if (level && rest.length === members.length) return into;
    if (rest.length < 2) rest = [];
    let start = from;
    for (const it of members) {
      if (rest.length && narrow(it)) continue;
      into.push([it, level, start]);
      if (!narrow(it)) inRow(it.members, level + 1, start, whole, into);
      start += it.ns;
    }
    if (rest.some((it) => it.ns)) into.push([gathered(rest, members[0].up), level, start]);
    return into;
  };
  const laidOut = (tree, focus) => {
    if (focus !== tree.root) {
      return inRow(focus.members, 1, 0, focus.ns, [[focus, 0, 0]]);
    }
    const found = inRow(tree.root.members, 0, 0, tree.whole, []);
    let start = tree.root.ns;
    for (const it of tree.closing) {
      found.push([it, 0, start]);
      start += it.ns;
    }
    return found;
  };

  const short = (name, limit) => window.onnxprof.model.short(name, limit);
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
  const rowsWithin = (it, into = new Set()) => {
    if (it.row >= 0) into.add(it.row);
    it.members.forEach((member) => rowsWithin(member, into));
    return into;
  };
  const narrowTable = () => {
    const it = marked ?? focus;
    if (it === tree.root) { window.onnxprof.only(table, null); return; }
    const rows = rowsWithin(it);
    const all = tree.homes.flatMap((home, i) => (rows.has(home) ? [i] : []));
    window.onnxprof.only(table, new Set(all));
  };

  const crumb = (it) => {
    const button = el("button", "", it === tree.root ? "all" : short(it.name, 40));
    button.type = "button";
    button.addEventListener("click", () => { go(it); trail.querySelector("[aria-current]")?.focus(); });
    if (it === (marked ?? focus)) button.setAttribute("aria-current", "true");
    return el("li", "", button);
  };
  const showTrail = () => {
    const line = [];
    for (let it = marked ?? focus; it; it = it.up) line.unshift(it);
    trail.hidden = line.length < 2;
    trail.replaceChildren(...line.map(crumb));
    said.textContent = line.length < 2 ? ""
      : `${told(tree, line[line.length - 1])}. The table below shows these rows alone.`;
  };

  // A scope fills the width; a step is marked where it stands.
  const go = (it) => {
    const isStep = it.row >= 0;
    marked = isStep ? it : null;
    const wanted = isStep ? focus : it;
    if (wanted !== focus || !links.length) { focus = wanted; draw(); } else mark();
    narrowTable();
    showTrail();
  };

  // From one run to the next the scope stays, as far as there is one of its name.
  const again = (names) => names.reduce(
    (it, name) => it?.members.find((member) => member.name === name && member.row < 0), tree.root);
  const trailOf = (it) => (it.up ? [...trailOf(it.up), it.name] : []);

  const showOperators = (run) => {
    const kinds = new Map(run.k);
    const sums = new Map();
    tree.names.forEach((_, row) => {
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
    found = [...found, ...tree.closing.map(({ name, ns }) => ({ name, ns, steps: 0 }))];
    const most = Math.max(1, ...found.map(({ ns }) => ns));
    const [unit, size] = unitFor(run.total);
    operators.replaceChildren(...found.map(({ name, ns, steps }) => el("li", steps ? "" : "soft",
      el("span", "name", window.onnxprof.isolated(name), ...(steps ? [" ", el("span", "op", `×${words(steps)}`)] : [])),
      el("span", "figure", `${three(ns / size)} ${unit}`),
      el("span", "figure", run.total ? `${percent(ns / run.total)} %` : ""), bar(ns / most))));
  };

  const show = () => {
    const run = current();
    if (run.fail) return;
    const names = tree ? trailOf(focus) : [];
    const first = !tree && stage.querySelector(".icicle") && stage.dataset.run === `${run.sys}/${run.batch}`;
    tree = grown(run);
    focus = again(names) ?? tree.root;
    marked = null;
    if (first) {
      shown = laidOut(tree, focus);
      links = [...stage.querySelectorAll("a")];
    } else {
      draw();
      showOperators(run);
    }
    if (!first) narrowTable();
    showTrail();
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
      window.onnxprof.selection?.choose(it === marked ? layer : null);
    }
    if (byKey) reach(Math.max(0, shown.findIndex(([other]) => other === (marked ?? focus))));
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
  const KEYS = {
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
    } else if (KEYS[event.key]) {
      event.preventDefault();
      reach(KEYS[event.key](i));
    }
  });

  // One stop from the start: the page without scripts has one for each rectangle of the first row.
  const alone = () => links.forEach((link, i) => {
    if (i) link.setAttribute("tabindex", "-1"); else link.removeAttribute("tabindex");
  });

  document.addEventListener("onnxprof:shown", show);
  show();
  alone();
})();
