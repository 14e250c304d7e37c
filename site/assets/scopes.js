"use strict";
// The scopes of a run as a tree, and where its parts stand in an icicle: as onnxprof/publish/icicle makes
// both. A part is named by the scopes above it, `where`.
(() => {
  const stage = document.getElementById("icicle");
  if (!stage) return;
  const { data } = window.onnxprof.model;
  const rules = JSON.parse(stage.dataset.rules);

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

  // The rows of the steps within a part.
  const rowsWithin = (it, into = new Set()) => {
    if (it.row >= 0) into.add(it.row);
    it.members.forEach((member) => rowsWithin(member, into));
    return into;
  };

  // The address has a part as the scope that fills the width, how many of its smallest members stand
  // for it where these were gathered, and the step that is marked.
  const KEYS = ["scope", "rest", "step"];
  const keysOf = (focus, marked) => ({
    scope: (focus.rest ? focus.up : focus).where || null,
    rest: focus.rest ? String(focus.members.length) : null,
    step: marked?.where || null,
  });
  const within = (it, fits) => {
    if (fits(it)) return it;
    for (const member of it.members) {
      const found = within(member, fits);
      if (found) return found;
    }
    return null;
  };
  const smallest = (it, count) => {
    if (!(count > 1) || it.members.length < count) return it;
    const kept = new Set([...it.members].sort((a, b) => a.ns - b.ns).slice(0, count));
    return gathered(it.members.filter((member) => kept.has(member)), it);
  };
  const resolved = (tree, { scope, rest, step }) => {
    const it = scope ? within(tree.root, (each) => each.row < 0 && each.where === scope) : tree.root;
    const focus = it ? smallest(it, Number(rest)) : tree.root;
    return { focus, marked: step ? within(focus, (each) => each.row >= 0 && each.where === step) : null };
  };

  window.onnxprof.scopes = { KEYS, grown, laidOut, rowsWithin, keysOf, resolved, sum, words, layersOf };
})();
