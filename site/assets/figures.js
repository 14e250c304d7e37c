"use strict";
// Numbers, names and small marks as the builder writes them; nothing here knows a run.
(() => {
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
  // A name apart from the direction of its neighbours; where it breaks site.js or the style sheet says.
  const isolated = window.onnxprof.isolated ?? ((name) => el("bdi", "", name));

  // Numbers: the same rules as onnxprof/publish/text/numbers.py.
  const decimals = (value) => {
    if (!value) return 0;
    const exponent = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(3)))));
    return Math.min(3, Math.max(0, 2 - exponent));
  };
  const formats = new Map();
  const fixed = (value, digits) => {
    if (!formats.has(digits)) {
      formats.set(digits, new Intl.NumberFormat("en-US", {
        minimumFractionDigits: digits, maximumFractionDigits: digits, roundingMode: "halfEven",
      }));
    }
    return formats.get(digits).format(value).replace("-", "\u2212");
  };
  const three = (value) => fixed(value, decimals(value));
  const percent = (share) => fixed(share * 100, Math.abs(share * 100) >= 9.995 ? 1 : 2);
  const unitFor = (total) => (total < 20e6 ? ["µs", 1e3] : ["ms", 1e6]);

  const short = (name, limit) => {
    const head = Math.floor((limit - 1) / 3);
    return name.length <= limit ? name
      : `${name.slice(0, head)}…${name.slice(name.length - limit + 1 + head)}`;
  };

  // Labels of a list's names that tell them apart: as onnxprof/publish/drawing/apart.py.
  // A number belongs to what it counts: `layer/3/`.
  const counted = (parts) => parts.reduce((all, part) => {
    if (all.length && /^[0-9]/.test(part)) all.push(all.pop() + part); else all.push(part);
    return all;
  }, []);
  const pieces = (name) => {
    const scopes = counted(name.match(/[^/.:]*[/.:]+|[^/.:]+/g) ?? []);
    if (scopes.length > 1) return scopes;
    return counted(name.match(/[^_-]*[_-]+|[^_-]+/g) ?? [name]);
  };
  const joined = (parts, kept) => parts.map((part, i) => {
    if (kept.has(i)) return part;
    return i === 0 || kept.has(i - 1) ? "…" : "";
  }).join("");
  const label = (name, others, limit) => {
    if (name.length <= limit) return name;
    const parts = pieces(name);
    const last = parts.length - 1;
    const kept = new Set([last]);
    for (const other of others) {
      const differs = parts.findIndex((part, i) => part !== other[i]);
      kept.add(differs < 0 ? last : differs);
    }
    for (let i = last - 1; i >= 0; i -= 1) {
      const more = new Set(kept).add(i);
      if (joined(parts, more).length > limit) break;
      kept.add(i);
    }
    return short(joined(parts, kept), 2 * limit);
  };
  const apart = (names, limit) => {
    const made = names.map((name) =>
      label(name, names.filter((other) => other !== name).map(pieces), limit));
    return made.map((text, i) =>
      (made.some((other, k) => other === text && names[k] !== names[i]) ? names[i] : text));
  };

  const bar = (share) => {
    const box = svg("svg", {
      class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true",
    });
    const width = Math.round(Math.max(0, Math.min(1, share)) * 1000) / 10;
    box.append(svg("rect", { width, height: 10 }));
    return box;
  };
  // A bar with whiskers from p5 to p95, relative to the end of the longest; as bars.whiskers.
  const whiskers = (ns, low, high, most) => {
    const box = bar(ns / most);
    box.classList.add("whiskered");
    box.firstChild.setAttribute("y", 3);
    box.firstChild.setAttribute("height", 4);
    if (low === null) return box;
    const [a, b] = [low, high].map((end) => Math.round(Math.max(0, Math.min(1, end / most)) * 1000) / 10);
    box.append(svg("path", { d: `M${a} 5H${b}M${a} 1V9M${b} 1V9` }));
    return box;
  };

  window.onnxprof.figures = {
    el, svg, isolated, decimals, fixed, three, percent, unitFor, short, apart, bar, whiskers,
  };
})();
