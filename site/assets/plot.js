"use strict";
// The model plot: boxes that were laid out while building, coloured by the run that is chosen.
(() => {
  const stage = document.getElementById("stage");
  if (!stage) return;
  const {
    data, rowOf, three, percent, unitFor, short, el, svg, ask, current, homesOf,
  } = window.onnxprof.model;
  const at = (id) => document.getElementById(id);
  const [NODE, INPUT, SCOPE, REFERENCE] = [0, 1, 2, 3];
  // Shares from which a colour counts; the legend in the page names them.
  const SHARES = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4];
  const [LEAST, MOST, READABLE] = [0.02, 3, 0.4];

  const picture = svg("svg", {
    class: "picture", tabindex: "0", role: "application", "aria-label": stage.dataset.label,
    "aria-describedby": "plot-keys",
  });
  const root = svg("g", {});
  picture.append(root);
  const tip = el("div", "tip");
  tip.hidden = true;
  stage.append(picture, tip);

  let graph = null;
  let homes = [];
  let scene = null;
  let heat = null;
  let number = -1;
  let drawn = null;
  let selected = null;
  let view = { k: 1, x: 0, y: 0 };
  const open = new Set();

  // What each layer of the run costs: its step's row, by the layer's number.
  const heatOf = (run) => ({ rows: homesOf(run), run });
  const homeOf = (node) => heat.rows.get(graph.nodes[node][0]);
  const timeOf = (node) => {
    const home = homeOf(node);
    return home === undefined ? null : heat.run.m[home];
  };
  const classOf = (ns) => {
    if (ns === null || !heat.run.total) return "cold";
    const share = ns / heat.run.total;
    return `h${SHARES.filter((least) => share >= least).length}`;
  };
  const set = () => data.sets[data.tables[heat.run.table].set];
  const shapes = () => data.tables[heat.run.table].shapes;
  const nameOf = (node) => {
    const [row, , made] = graph.nodes[node];
    return row < 0 ? graph.tensors[made[0]] : set()[row][0];
  };
  const shapeOf = (node) => {
    const made = graph.nodes[node][2];
    return made.length ? shapes()[made[0]] : "";
  };
  const nodesOf = (scope) => graph.scopes[scope].boxes.flatMap(([kind, ref]) =>
    kind === SCOPE ? nodesOf(ref) : kind === NODE ? [ref] : []);
  // Steps that begin in a scope, so that the scopes of a drawing add up.
  const sumOf = (scope) => {
    let sum = null;
    for (const node of nodesOf(scope)) {
      const row = graph.nodes[node][0];
      const home = heat.rows.get(row);
      if (home !== undefined && heat.run.l[home] === row) sum = (sum ?? 0) + (heat.run.m[home] ?? 0);
    }
    return sum;
  };

  const arrange = () => {
    scene = window.onnxprof.scene(graph, open);
    drawn = null;
  };

  const round = (value) => Math.round(value * 10) / 10;
  const path = (points) => `M${points.map(([x, y]) => `${round(x)} ${round(y)}`).join(" ")}`;
  const text = (cls, x, y, content) => {
    const node = svg("text", { class: cls, x, y });
    node.textContent = content;
    return node;
  };
  const plainBox = (box, cls) => svg("rect", {
    class: cls, x: round(box.x), y: round(box.y), width: round(box.w), height: round(box.h),
    rx: box.kind === INPUT ? 15 : 0, "data-i": box.i,
  });

  const drawNode = (box) => {
    const layer = set()[graph.nodes[box.ref][0]];
    const ns = timeOf(box.ref);
    const shape = short(shapeOf(box.ref), 26);
    const share = ns === null || !heat.run.total ? "" : `${percent(ns / heat.run.total)} %`;
    return [
      text("op", 10, 18, short(layer[1], Math.max(6, 29 - shape.length))),
      text("end", 224, 18, shape),
      text("name", 10, 34, short(layer[0], share ? 30 : 37)),
      text("end", 224, 34, isHome(box.ref) ? share : ""),
    ];
  };
  // A step's time stands on its first layer, as in the table.
  const isHome = (node) => {
    const row = graph.nodes[node][0];
    return heat.rows.has(row) && heat.run.l[heat.rows.get(row)] === row;
  };
  const drawInput = (box) => [
    text("name", 14, 19, short(nameOf(box.ref), 20)), text("end", 218, 19, short(shapeOf(box.ref), 18)),
  ];
  const drawScope = (box) => {
    const scope = graph.scopes[box.ref];
    const ns = box.inner ? null : sumOf(box.ref);
    const share = ns === null || !heat.run.total ? "" : `${percent(ns / heat.run.total)} %`;
    return [
      text("op", 10, 18, `${box.inner ? "\u2212" : "+"} ${short(scope.name, 29)}`),
      ...(box.inner ? [] : [text("name", 22, 34, `${nodesOf(box.ref).length} layers`),
        text("end", 224, 34, share)]),
    ];
  };
  const drawReference = (box) => [text("name", 6, 13.5, `\u2190 ${short(nameOf(box.ref), 23)}`)];
  const KINDS = ["node", "input", "scope", "reference"];
  const DRAW = [drawNode, drawInput, drawScope, drawReference];

  const heatClass = (box) => {
    if (box.kind === NODE) return classOf(timeOf(box.ref));
    if (box.kind === SCOPE && !box.inner) return classOf(sumOf(box.ref));
    return "";
  };
  const stepOf = (box) => (box.kind === NODE ? homeOf(box.ref) : undefined);

  const group = (box, plain, merged) => {
    const cls = [KINDS[box.kind], heatClass(box), box.inner ? "opened" : "",
      merged.has(box) ? "merged" : "", selected && same(box, selected) ? "selected" : ""];
    const g = svg("g", { class: cls.filter(Boolean).join(" "), "data-i": box.i });
    g.append(plainBox(box, "b"));
    if (box.kind === SCOPE && !box.inner) {
      g.append(svg("path", {
        class: "stack", d: `M${round(box.x + 4)} ${round(box.y + box.h + 3)}h${box.w - 8}`,
      }));
    }
    if (!plain) {
      const words = svg("g", { transform: `translate(${round(box.x)} ${round(box.y)})` });
      words.append(...DRAW[box.kind](box));
      g.append(words);
    }
    return g;
  };

  // Layers of one step that follow each other are one block: an outline around all of them.
  const blocks = (edges) => {
    const links = edges.filter(({ a, b }) => stepOf(a) !== undefined && stepOf(a) === stepOf(b)
      && heat.run.m[stepOf(a)] !== null);
    const steps = new Map();
    for (const edge of links) {
      if (!steps.has(stepOf(edge.a))) steps.set(stepOf(edge.a), { boxes: new Set(), links: [] });
      const step = steps.get(stepOf(edge.a));
      step.boxes.add(edge.a).add(edge.b);
      step.links.push(edge);
    }
    return steps;
  };
  // Straight ones are as wide as their boxes, others a thick line.
  const isStraight = ({ a, b }) => a.x === b.x && a.w === b.w && b.y > a.y;
  const corners = (x, y, w, h) => `M${round(x)} ${round(y)}h${round(w)}v${round(h)}h${round(-w)}z`;
  const drawBlock = ({ boxes, links }, home) => {
    const g = svg("g", { class: `block ${classOf(heat.run.m[home])}` });
    const areas = [...boxes].map((box) => corners(box.x, box.y, box.w, box.h))
      .concat(links.filter(isStraight).map(({ a, b }) => corners(a.x, a.y, a.w, b.y + b.h - a.y)))
      .join("");
    const lines = links.filter((link) => !isStraight(link)).map((link) => path(link.points)).join("");
    for (const cls of ["outline", "inside"]) {
      g.append(svg("path", { class: cls, d: areas }));
      if (lines) g.append(svg("path", { class: `${cls} thick`, d: lines }));
    }
    return g;
  };

  const meets = (area) => (it) => it.x <= area.x1 && it.x + it.w >= area.x0
    && it.y <= area.y1 && it.y + it.h >= area.y0;
  const area = (more) => {
    const { clientWidth: w, clientHeight: h } = picture;
    return {
      x0: (-view.x - more * w) / view.k, y0: (-view.y - more * h) / view.k,
      x1: ((1 + more) * w - view.x) / view.k, y1: ((1 + more) * h - view.y) / view.k,
    };
  };

  const contents = (where, plain) => {
    const boxes = scene.boxes.filter(meets(where));
    const edges = scene.edges.filter(meets(where));
    const steps = blocks(edges);
    const merged = new Set([...steps.values()].flatMap((step) => [...step.boxes]));
    const near = selected ? scene.edges.filter(({ a, b }) => same(a, selected) || same(b, selected)) : [];
    return [
      ...boxes.filter((box) => box.inner).map((box) => group(box, plain, merged)),
      svg("path", { class: "edges", d: edges.map((edge) => path(edge.points)).join("") }),
      svg("path", { class: "edges near", d: near.map((edge) => path(edge.points)).join("") }),
      ...[...steps].map(([home, step]) => drawBlock(step, home)),
      ...boxes.filter((box) => !box.inner).map((box) => group(box, plain, merged)),
    ];
  };

  const render = () => {
    if (!scene) return;
    root.setAttribute("transform", `translate(${round(view.x)} ${round(view.y)}) scale(${view.k})`);
    const plain = view.k < READABLE;
    const seen = area(0);
    const there = drawn && drawn.plain === plain && seen.x0 >= drawn.x0 && seen.x1 <= drawn.x1
      && seen.y0 >= drawn.y0 && seen.y1 <= drawn.y1;
    if (there) return;
    drawn = { ...area(0.6), plain };
    root.replaceChildren(...contents(drawn, plain));
  };
  let asked = false;
  const later = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; render(); });
  };
  const again = () => { drawn = null; later(); };

  const zoom = (factor, x = picture.clientWidth / 2, y = picture.clientHeight / 2) => {
    const k = Math.min(MOST, Math.max(LEAST, view.k * factor));
    view = { k, x: x - ((x - view.x) * k) / view.k, y: y - ((y - view.y) * k) / view.k };
    later();
  };
  const pan = (dx, dy) => { view = { ...view, x: view.x + dx, y: view.y + dy }; later(); };
  const fit = () => {
    const { clientWidth: w, clientHeight: h } = picture;
    const k = Math.min(1.2, Math.max(LEAST, Math.min((w - 32) / scene.w, (h - 32) / scene.h)));
    view = { k, x: (w - scene.w * k) / 2, y: Math.max(16, (h - scene.h * k) / 2) };
    later();
  };
  // From the top, as wide as it can be read.
  const start = () => {
    const w = picture.clientWidth;
    const k = Math.min(1, Math.max(0.5, (w - 32) / scene.w));
    const first = scene.boxes.reduce((a, b) => (b.y < a.y ? b : a), scene.boxes[0]);
    const middle = scene.w * k <= w || !first ? scene.w / 2 : first.x + first.w / 2;
    view = { k, x: w / 2 - middle * k, y: 16 };
    later();
  };
  const centre = (box) => {
    const k = Math.max(view.k, 0.9);
    const { clientWidth: w, clientHeight: h } = picture;
    view = { k, x: w / 2 - (box.x + box.w / 2) * k, y: h / 2 - (box.y + Math.min(box.h, h) / 2) * k };
    later();
  };

  const same = (a, b) => a.kind === b.kind && a.ref === b.ref && a.scope === b.scope;
  const find = (wanted) => scene.boxes.find((box) => same(box, wanted));

  // A scope that opens or folds stays where it was on the screen.
  const toggle = (box) => {
    const before = [view.x + (box.x + box.w / 2) * view.k, view.y + box.y * view.k];
    if (open.has(box.ref)) open.delete(box.ref); else open.add(box.ref);
    arrange();
    const now = find(box);
    pan(before[0] - view.x - (now.x + now.w / 2) * view.k, before[1] - view.y - now.y * view.k);
    choose(now);
  };
  const jump = (node) => {
    let changed = false;
    for (let scope = homes[node]; scope > 0; scope = graph.scopes[scope].up) {
      changed ||= !open.has(scope);
      open.add(scope);
    }
    if (changed) arrange();
    const box = scene.boxes.find((b) => b.ref === node && b.kind < SCOPE);
    centre(box);
    choose(box);
  };

  // Words about a box: lines of [what, value]; the first is its heading.
  const told = (box) => {
    if (box.kind === SCOPE) return toldScope(box);
    const [row, read, made] = graph.nodes[box.ref];
    const lines = [[row < 0 ? "input" : set()[row][1], nameOf(box.ref)]];
    if (box.kind === REFERENCE) return [["from", nameOf(box.ref)], ["", "Enter or a click goes there."]];
    if (row >= 0) lines.push(...toldTime(row));
    const some = (list) => [...list.slice(0, 6), ...(list.length > 6 ? [null] : [])];
    const tensor = (word) => (t) => (t === null ? ["", "…"]
      : [word, `${short(graph.tensors[t], 36)}  ${short(shapes()[t], 40)}`.trim()]);
    return [...lines, ...some(read).map(tensor("reads")), ...some(made).map(tensor("makes"))];
  };
  const toldTime = (row) => {
    if (heat.run.fail) return [["time", "this measurement failed"]];
    const home = heat.rows.get(row);
    if (home === undefined) return [["time", "a constant: none"]];
    const its = rowOf(heat.run, home);
    if (its.m === null) return [["time", its.status]];
    const [unit, ns] = unitFor(heat.run.total);
    const count = [...heat.rows.values()].filter((other) => other === home).length;
    const covers = count > 1 ? ` for ${count} layers` : "";
    const spreads = its.lo === null ? "" : ` (p5 ${three(its.lo / ns)}, p95 ${three(its.hi / ns)})`;
    return [
      ["time", `${three(its.m / ns)} ${unit}${covers}${spreads}`],
      ["share", `${percent(its.share ?? 0)} % of the median`],
      ["step", short(its.step, 60)],
      ["step and layers", heat.run.i.includes(home) ? "matched by their place" : "matched exactly"],
    ];
  };
  const toldScope = (box) => {
    const ns = sumOf(box.ref);
    const [unit, one] = unitFor(heat.run.total || 1);
    return [
      ["scope", graph.scopes[box.ref].name],
      ["layers", String(nodesOf(box.ref).length)],
      ...(ns === null ? [] : [["time", `${three(ns / one)} ${unit} in steps that begin here`],
        ["share", `${percent(ns / heat.run.total)} % of the median`]]),
      ["", box.inner ? "Enter or a click folds it." : "Enter or a click opens it."],
    ];
  };

  const showTip = (box) => {
    const [[kind, name], ...rest] = told(box);
    const list = el("dl");
    for (const [what, value] of rest) list.append(el("dt", "", what), el("dd", "", value));
    tip.replaceChildren(el("p", "", el("b", "", name), " ", el("span", "soft", kind)), list);
    tip.hidden = false;
    const right = view.x + (box.x + box.w) * view.k + 10;
    const left = view.x + box.x * view.k - 10 - tip.offsetWidth;
    const x = right + tip.offsetWidth <= stage.clientWidth ? right : Math.max(4, left);
    const y = view.y + box.y * view.k;
    tip.style.left = `${Math.max(4, Math.min(x, stage.clientWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${Math.max(4, Math.min(y, stage.clientHeight - tip.offsetHeight - 4))}px`;
  };
  const hideTip = () => { if (selected && hasTip) showTip(find(selected) ?? selected); else tip.hidden = true; };

  // A layer that is chosen here is chosen in the whole page, and the other way round; then the panel
  // tells of it, and nothing is laid over the drawing.
  let isQuiet = false;
  let hasTip = false;
  const { selection } = window.onnxprof;
  const layerOf = (box) => (box?.kind === NODE && graph.nodes[box.ref][0] >= 0 ? nameOf(box.ref) : null);
  const hear = (name) => {
    if (!scene || name === (selected && layerOf(selected))) return;
    const node = name === null ? -1
      : graph.nodes.findIndex(([row]) => row >= 0 && set()[row][0] === name);
    isQuiet = true;
    if (node >= 0) jump(node); else if (selected && layerOf(selected)) choose(null);
    isQuiet = false;
  };

  const choose = (box) => {
    selected = box && { kind: box.kind, ref: box.ref, scope: box.scope };
    const name = box ? layerOf(box) : null;
    // in place of the step before: n and p go through many
    if (name !== selection.current() && (name || !box)) selection.choose(name, { push: selection.current() === null });
    drawn = null;
    later();
    if (!box) { tip.hidden = true; return; }
    if (!isQuiet) at("plot-said").textContent = told(box).map((line) => line.join(" ").trim()).join("; ");
    hasTip = !isQuiet;
    if (hasTip) requestAnimationFrame(() => showTip(box)); else tip.hidden = true;
  };
  const act = (box) => {
    if (box.kind === SCOPE) toggle(box);
    else if (box.kind === REFERENCE) jump(box.ref);
    else choose(box);
  };

  // Pointers: one drags, two zoom.
  const pointers = new Map();
  let moved = false;
  const boxAt = (event) => {
    const target = event.target.closest?.("[data-i]");
    return target ? scene?.boxes[target.dataset.i] : null;
  };
  picture.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    moved = false;
  });
  picture.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!scene) return;
    if (!last) {
      const box = boxAt(event);
      if (box && !(box.inner && event.target.tagName === "rect")) showTip(box); else hideTip();
      return;
    }
    const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
    if (!moved && Math.hypot(dx, dy) < 4) return;
    if (!moved) picture.setPointerCapture(event.pointerId);
    moved = true;
    tip.hidden = true;
    const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
    if (others.length) {
      const frame = picture.getBoundingClientRect();
      const [ox, oy] = others[0];
      const far = (p) => Math.hypot(p[0] - ox, p[1] - oy) || 1;
      zoom(far([event.clientX, event.clientY]) / far(last), ox - frame.left, oy - frame.top);
      pan(dx / 2, dy / 2);
    } else {
      pan(dx, dy);
    }
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    picture.addEventListener(kind, (event) => pointers.delete(event.pointerId));
  }
  picture.addEventListener("pointerleave", () => { if (!pointers.size && scene) hideTip(); });
  picture.addEventListener("click", (event) => {
    if (moved || !scene) return;
    const box = boxAt(event);
    if (box && box.inner && event.target.tagName === "rect") choose(null);
    else if (box) act(box);
    else choose(null);
  });
  // The wheel scrolls the page until the drawing has the focus.
  picture.addEventListener("wheel", (event) => {
    if (!scene || !(event.ctrlKey || document.activeElement === picture)) return;
    event.preventDefault();
    const frame = picture.getBoundingClientRect();
    const step = event.deltaMode ? event.deltaY * 16 : event.deltaY;
    tip.hidden = true;
    zoom(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.002)), event.clientX - frame.left, event.clientY - frame.top);
  }, { passive: false });

  // The next box from top to bottom, then from left to right.
  const step = (by) => {
    const order = [...scene.boxes].sort((a, b) => a.y - b.y || a.x - b.x);
    const now = selected ? order.findIndex((box) => same(box, selected)) : -1;
    const box = order[Math.min(order.length - 1, Math.max(0, now + by))];
    if (box) { centre(box); choose(box); }
  };
  const KEYS = {
    ArrowLeft: () => pan(60, 0), ArrowRight: () => pan(-60, 0), ArrowUp: () => pan(0, 60),
    ArrowDown: () => pan(0, -60), "+": () => zoom(1.3), "=": () => zoom(1.3), "-": () => zoom(1 / 1.3),
    0: fit, n: () => step(1), p: () => step(-1), Home: start, Escape: () => choose(null),
    Enter: () => { const box = selected && find(selected); if (box) act(box); },
  };
  picture.addEventListener("keydown", (event) => {
    if (!scene || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    tip.hidden = true;
    KEYS[event.key]();
  });
  const buttons = {
    "zoom-in": () => zoom(1.4), "zoom-out": () => zoom(1 / 1.4), "zoom-fit": fit,
    unfold: () => { graph.scopes.forEach((_, i) => i && open.add(i)); arrange(); fit(); },
    fold: () => { open.clear(); arrange(); start(); },
    "save-view": () => save(),
  };
  for (const [id, does] of Object.entries(buttons)) {
    at(id).addEventListener("click", () => { if (scene) does(); });
  }

  // Search: Enter goes from match to match.
  const input = at("find-node");
  let matches = [];
  let place = -1;
  const search = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    matches = [];
    place = -1;
    if (scene && words.length) {
      graph.nodes.forEach((_, node) => {
        const own = graph.nodes[node][0] < 0 ? "" : set()[graph.nodes[node][0]][1];
        const text = `${nameOf(node)} ${own}`.toLowerCase();
        if (words.every((word) => text.includes(word))) matches.push(node);
      });
    }
    at("found").textContent = words.length ? `${matches.length} found` : "";
  };
  const go = (by) => {
    if (!matches.length) return;
    place = (place + by + matches.length) % matches.length;
    at("found").textContent = `${place + 1} of ${matches.length}`;
    jump(matches[place]);
  };
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    go(event.shiftKey ? -1 : 1);
  });

  // The drawing as it is coloured and unfolded now, whole, in a file of its own.
  const save = () => {
    const css = getComputedStyle(document.documentElement);
    const value = (name) => css.getPropertyValue(name).trim();
    const colours = SHARES.concat(0).map((_, i) => [value(`--h${i}`), value(`--t${i}`)]);
    const rules = [
      `text{font:11px ${value("--sans")};fill:${value("--ink")}}.op{font-weight:600}`,
      ".name,.end{font-size:9.5px}.end{text-anchor:end}",
      `.b{fill:${value("--page")};stroke:${value("--faint")}}.cold .b,.reference .b{stroke-dasharray:3 2}`,
      `.opened .b{fill:none}.edges,.stack{fill:none;stroke:${value("--faint")}}`,
      ".near{display:none}.thick{fill:none;stroke-width:14}.outline.thick{stroke-width:17}",
      `.outline{fill:none;stroke:${value("--ink")};stroke-width:3}.inside{stroke:none}`,
      ...colours.map(([fill, ink], i) =>
        `.h${i} .b,.h${i} .inside{fill:${fill}}.h${i} .inside.thick{stroke:${fill};fill:none}.h${i} text{fill:${ink}}`),
      "g.merged .b{stroke:none;fill:none}",
    ];
    const whole = svg("svg", {
      xmlns: "http://www.w3.org/2000/svg", width: round(scene.w + 40), height: round(scene.h + 40),
      viewBox: `-20 -20 ${round(scene.w + 40)} ${round(scene.h + 40)}`,
    });
    const everything = { x0: -1e9, y0: -1e9, x1: 1e9, y1: 1e9 };
    whole.append(...contents(everything, false));
    const markup = new XMLSerializer().serializeToString(whole).replace(">",
      `><style>${rules.join("\n").replace(/&/g, "&amp;").replace(/</g, "&lt;")}</style><rect x="-20" y="-20" width="100%" height="100%" fill="${value("--page")}"/>`);
    const link = el("a");
    link.href = URL.createObjectURL(new Blob([markup], { type: "image/svg+xml" }));
    link.download = `${stage.dataset.slug}.${data.systems[heat.run.sys].key}.b${heat.run.batch}.svg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  const take = (found, wanted, run) => {
    if (current() !== run) return;
    graph = found;
    number = wanted;
    homes = [];
    graph.scopes.forEach(({ boxes }, scope) => boxes.forEach(([kind, ref]) => {
      if (kind < SCOPE) homes[ref] = scope;
    }));
    open.clear();
    selected = null;
    heat = heatOf(run);
    arrange();
    start();
    search();
    stage.classList.add("drawn");
    hear(selection.current());
  };
  // The room of the drawing before it comes, so that nothing below it moves; a small graph needs no
  // more than it takes, one that is folded has the style sheet's.
  const rooms = stage.dataset.rooms.split(" ").map(Number);
  const reserve = () => {
    const run = current();
    const room = rooms[data.tables[run.table].graph];
    const least = 16 * parseFloat(getComputedStyle(document.documentElement).fontSize);
    stage.style.height = room ? `${Math.max(least, room)}px` : "";
    for (const id of ["unfold", "fold"]) at(id).hidden = Boolean(room);
    at("plot-run").textContent = `${data.systems[run.sys].short}, batch ${run.batch}`;
  };
  const show = () => {
    const run = current();
    const wanted = data.tables[run.table].graph;
    if (graph && wanted === number) {
      heat = heatOf(run);
      again();
      if (selected && find(selected)) choose(find(selected));
      return;
    }
    ask("graph", wanted, `plot/graph-${wanted}.js`).then((found) => take(found, wanted, run))
      .catch((error) => { at("plot-said").textContent = error.message; stage.dataset.trouble = error.message; });
  };

  selection.onChange(hear);
  document.addEventListener("onnxprof:shown", reserve);
  reserve();
  // The middle stays where it is when the room changes.
  let wide = stage.clientWidth;
  new ResizeObserver(() => {
    view = { ...view, x: view.x + (stage.clientWidth - wide) / 2 };
    wide = stage.clientWidth;
    again();
  }).observe(stage);
  let begun = false;
  const begin = () => {
    if (begun) return;
    begun = true;
    show();
    document.addEventListener("onnxprof:shown", show);
  };
  new IntersectionObserver((entries, watcher) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    begin();
  }, { rootMargin: "200px" }).observe(stage);
  input.addEventListener("focus", begin);
})();
