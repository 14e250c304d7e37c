"use strict";
// Two runs side by side, and all runtimes of a batch size.
(() => {
  const {
    data, el, bar, isolated, rowOf, three, fixed, percent, unitFor, number, ask, other,
    current, layerLink, spelled: addressOf, called: spelled,
  } = window.onnxprof.model;
  const { address } = window.onnxprof;
  const at = (id) => document.getElementById(id);
  const MOST_ROWS = 400;

  const digits = (ratio) => (ratio >= 99.5 ? 0 : ratio >= 9.995 ? 1 : 2);
  const ratioText = (ratio) => fixed(ratio, digits(ratio));
  // A column with marks has room for one in each cell, so that its numbers stay in line.
  const ratioCell = (a, b, mark = null, title = "") => {
    if (!a || !b) return el("td");
    const cell = el("td", `ratio d${digits(a / b)}`, ratioText(a / b),
      ...(mark === null ? [] : [el("span", "mark", mark)]));
    cell.dataset.v = a / b;
    if (title) cell.title = title;
    return cell;
  };

  // The steps of a run: each with its layers, its time, and the row that has it.
  const stepsOf = (run) => {
    const steps = new Map();
    let fused = 0;
    run.l.slice(0, -run.sums).forEach((layer, i) => {
      const row = rowOf(run, i);
      const home = row.status === "fused" ? run.h[fused++] : i;
      if (!steps.has(home)) steps.set(home, { layers: [], ops: [], ns: null });
      const step = steps.get(home);
      if (layer >= 0) { step.layers.push(row.name); step.ops.push(row.op); }
      if (home === i) step.ns = row.m;
    });
    return [...steps.values()];
  };

  // Layers that either run executes as one step share a block.
  const joined = (runs) => {
    const first = new Map();
    const root = (name) => {
      while (first.get(name) !== name) {
        first.set(name, first.get(first.get(name)));
        name = first.get(name);
      }
      return name;
    };
    const all = runs.map(stepsOf);
    for (const { layers } of all.flat()) {
      for (const name of layers) {
        if (!first.has(name)) first.set(name, name);
        first.set(root(name), root(layers[0]));
      }
    }
    const blocks = new Map();
    const stray = { names: ["(no layer)"], ops: [""], ns: runs.map(() => null) };
    all.forEach((steps, side) => {
      for (const { layers, ops, ns } of steps) {
        let block = stray;
        if (layers.length) {
          const key = root(layers[0]);
          if (!blocks.has(key)) blocks.set(key, { names: [], ops: [], ns: runs.map(() => null), seen: new Set() });
          block = blocks.get(key);
          layers.forEach((name, i) => {
            if (block.seen.has(name)) return;
            block.seen.add(name);
            block.names.push(name);
            block.ops.push(ops[i]);
          });
        }
        if (ns !== null) block.ns[side] = (block.ns[side] ?? 0) + ns;
      }
    });
    const timed = (block) => block.ns.some((ns) => ns !== null);
    return [...[...blocks.values()].filter(timed), ...(timed(stray) ? [stray] : [])];
  };

  // `conv1 + …/relu`: names without what they share with the first.
  const after = (first, name) => {
    let shared = 0;
    while (shared < name.length && first[shared] === name[shared]) shared += 1;
    const last = Math.max(...["/", "."].map((mark) => name.slice(0, shared).lastIndexOf(mark)));
    const cut = "/.".includes(name[shared] ?? " ") ? shared : last;
    return cut > 1 ? `…${name.slice(cut)}` : name;
  };
  const called = ({ names }) => {
    const kept = names.length < 4 ? names : names.slice(0, 2);
    const rest = names.length - kept.length;
    return [...kept.map((name, i) => (i ? after(names[0], name) : name)), ...(rest ? [`${rest} more`] : [])]
      .join(" + ");
  };
  const named = (block) => {
    // sums have no operators, and no layer
    const head = el("th", "", block.seen ? layerLink(block.names[0], isolated(called(block)))
      : isolated(called(block)));
    head.scope = "row";
    if (block.names.length > 1) head.title = block.names.slice(0, 20).join(" + ");
    return head;
  };
  const kinds = (ops) => {
    const all = [...new Set(ops.filter(Boolean))];
    return all.slice(0, 3).join(" + ") + (all.length > 3 ? " + …" : "");
  };
  const twoBars = (ns, most) => {
    const cell = el("td", "w barcell two");
    for (const value of ns) cell.append(bar(Math.max(0, value ?? 0) / most));
    return cell;
  };
  const pairRow = (block, unit, most) => {
    const row = el("tr", "", named(block), el("td", "l w soft", kinds(block.ops)),
      ...block.ns.map((ns) => number(ns, unit, "")), ratioCell(...block.ns), twoBars(block.ns, most));
    if (block.seen) row.dataset.layer = block.names[0];
    return row;
  };

  // Closing rows that either run has: interruptions come third from the end, where they are known.
  const sumsOf = (runs) => [["(interruptions)", 3], ["(overhead)", 2], ["(total)", 1]]
    .filter(([, place]) => runs.some((run) => run.sums >= place))
    .map(([name, place]) => ({
      names: [name], ops: [],
      ns: runs.map((run) => (run.sums >= place ? run.m.at(-place) : null)),
    }));

  const verdict = (a, b) => {
    if (a.fail || b.fail) return `There is nothing to compare: ${spelled(a.fail ? a : b)} failed.`;
    if (!a.whole || !b.whole) return "One of the two has no un-profiled latency, so that steps alone compare.";
    const ratio = a.total / b.total;
    const [unit, ns] = unitFor(Math.max(a.total, b.total));
    const word = (run) => `${three(run.total / ns)} ${unit} (${run.known})`;
    const much = ratio >= 1 ? `${ratioText(ratio)} times as long as` : `${percent(1 - ratio)} % less time than`;
    const unsure = a.few || b.few ? " With so few samples neither can be called faster."
      : Math.abs(a.total - b.total) <= a.pm * a.total + b.pm * b.total
        ? " Their intervals overlap, so neither can be called faster." : "";
    const items = a.batch === b.batch ? "" : ` An item takes ${ratioText(ratio * b.batch / a.batch)} times as long.`;
    const wrong = [a, b].filter((run) => run.wrong).map((run) => ` The outputs of ${spelled(run)} are wrong.`);
    return `${spelled(a)} takes ${much} ${spelled(b)}: ${word(a)} against ${word(b)}.${unsure}${items}${wrong.join("")}`;
  };

  const showPair = () => {
    if (!at("other")) return;
    const [a, b] = [current(), other()];
    at("this-run").textContent = spelled(a);
    at("other").value = b ? addressOf(b) : "";
    at("compared").hidden = !b;
    if (!b) return;
    at("verdict").textContent = verdict(a, b);
    const table = at("compare-table");
    table.hidden = Boolean(a.fail || b.fail);
    if (table.hidden) return;
    const runs = [a, b];
    const unit = unitFor(Math.max(a.total, b.total));
    const blocks = joined(runs);
    const longest = (block) => Math.max(...block.ns.map((ns) => ns ?? 0));
    const least = [...blocks].map(longest).sort((x, y) => y - x)[MOST_ROWS] ?? -1;
    const shown = blocks.filter((block) => longest(block) > least);
    const most = Math.max(...blocks.map(longest), 1);
    for (const label of table.querySelectorAll("[data-u]")) label.textContent = unit[0];
    runs.forEach((run, i) => {
      table.querySelector(`[data-side="${i}"]`).textContent = spelled(run);
    });
    table.tBodies[0].replaceChildren(...shown.map((block) => pairRow(block, unit, most)));
    table.tFoot.replaceChildren(...sumsOf(runs).map((block) => pairRow(block, unit, 1e30)));
    [...table.tFoot.rows].at(-1).className = "total";
    at("compare-rest").textContent = shown.length < blocks.length
      ? `The ${fixed(shown.length, 0)} longest of ${fixed(blocks.length, 0)} rows.` : "";
    window.onnxprof.again(table);
  };

  // All runtimes of the batch size that is shown.
  const table = at("aligned-table");
  const group = () => {
    const run = current();
    return data.aligned.find(({ batch, systems }) => batch === run.batch && systems.includes(run.sys));
  };
  const alignedCells = (cells, unit) => cells.flatMap((cell, i) => {
    const base = cells[0][0];
    if (cell[0] === null) return [el("td", "none", cell[1]), ...(i ? [el("td")] : [])];
    const time = number(cell[0], unit, "");
    if (cell[3]) {
      time.title += "; its layers were inferred from their place";
      time.prepend(el("span", "soft", `${cell[3]} `));
    }
    const interval = cell[2] ? `95 % interval ${cell[2]}` : "";
    return [time, ...(i ? [ratioCell(cell[0], base, cell[1], interval)] : [])];
  });
  const head = (label, title, sortable = true) => {
    const th = el("th", "r sys");
    th.scope = "col";
    if (title) th.title = title;
    if (!sortable) { th.append(label); return th; }
    th.dataset.sort = "number";
    const button = el("button", "", label);
    button.type = "button";
    th.append(button);
    return th;
  };
  const showAligned = (found, its) => {
    const total = Math.max(...found.sums.at(-1)[1].map((cell) => cell[0] ?? 0));
    const unit = unitFor(total);
    const heads = its.systems.flatMap((sys, i) => {
      const label = `${found.labels[i]}, ${unit[0]}`;
      const time = head(label, data.systems[sys].label);
      return i ? [time, head(`over ${found.labels[0]}`)] : [time];
    });
    const row = table.tHead.rows[0];
    row.replaceChildren(row.cells[0], row.cells[1], ...heads);
    table.tBodies[0].replaceChildren(...found.rows.map(([name, whole, ops, cells, layer]) => {
      const first = el("th", "", layer ? layerLink(layer, isolated(name)) : isolated(name));
      first.scope = "row";
      if (whole !== name) first.title = whole;
      const row = el("tr", "", first, el("td", "l w soft", ops), ...alignedCells(cells, unit));
      if (layer) row.dataset.layer = layer;
      return row;
    }));
    const sums = [...(found.rest
      ? [[`${found.rest[0]} more rows`, found.rest[1].map((ns) => [ns, "", ""])]] : []), ...found.sums];
    table.tFoot.replaceChildren(...sums.map(([name, cells]) => {
      const first = el("th", "", name);
      first.scope = "row";
      return el("tr", name === "(total)" ? "total" : "", first, el("td", "w"), ...alignedCells(cells, unit));
    }));
    at("aligned-rule").textContent = found.rule;
    at("aligned-remarks").replaceChildren(...found.remarks.map((text) => el("li", "", text)));
    window.onnxprof.again(table);
  };
  let inView = false;
  let shownGroup = "";
  const align = () => {
    // runtimes are aligned as they are now
    const isPast = Boolean(current().stamp);
    const its = isPast ? null : group();
    at("aligned-found").hidden = !its;
    at("aligned-past").hidden = !isPast;
    at("aligned-none").hidden = isPast || Boolean(its);
    at("aligned-batch").textContent = current().batch;
    if (!its || !inView || shownGroup === its.name) return;
    ask("aligned", its.name, `aligned/${its.name}.js`).then((found) => {
      if (group() !== its) return;
      shownGroup = its.name;
      showAligned(found, its);
    }).catch((error) => { at("aligned-rule").textContent = error.message; });
  };
  new IntersectionObserver((entries) => {
    inView ||= entries.some((entry) => entry.isIntersecting);
    if (inView) align();
  }, { rootMargin: "200px" }).observe(at("aligned-section"));

  at("other")?.addEventListener("change", (event) => {
    location.hash = address.with({}, [addressOf(current()), event.target.value].filter(Boolean).join("~"));
  });
  window.addEventListener("hashchange", showPair);
  document.addEventListener("onnxprof:shown", () => { showPair(); align(); });
  document.addEventListener("onnxprof:read", showPair);
  showPair();
  align();
})();
