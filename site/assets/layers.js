"use strict";
// The layer table: its rows are asked for when it is opened.
(() => {
  const { el, isolated, ask, shapes, layerLink } = window.onnxprof.model;
  const table = document.getElementById("layers-table");
  const details = table.closest("details");

  const tensorLine = (found, tensor) => {
    const shape = el("span", "shape", shapes()[tensor]);
    shape.dataset.t = tensor;
    return el("div", "", isolated(found.tensors[tensor]), " ", shape);
  };
  const attributeCell = (pairs) => {
    const cell = el("td", "l w");
    pairs.forEach(([key, value], i) => cell.append(i ? "; " : "", `${key}=`, isolated(value)));
    return cell;
  };
  const tableRow = (found, i) => {
    const isLayer = Boolean(found.words[found.op[i]]);
    const head = el("th", "", isLayer ? layerLink(found.name[i]) : isolated(found.name[i]));
    head.scope = "row";
    const order = el("td", "w", String(i + 1));
    order.dataset.v = i + 1;
    const lines = (tensors) => tensors.map((tensor) => tensorLine(found, tensor));
    const row = el("tr", "", order, head, el("td", "l", found.words[found.type[i]]),
      el("td", "l w", found.words[found.op[i]]), el("td", "l", ...lines(found.in[i])),
      el("td", "l", ...lines(found.out[i])), attributeCell(found.attributes[found.attrs[i]]));
    if (isLayer) row.dataset.layer = found.name[i];
    return row;
  };

  const textOf = (found, i) => [
    found.name[i], found.words[found.type[i]], found.words[found.op[i]],
    ...[...found.in[i], ...found.out[i]].map((t) => `${found.tensors[t]} ${shapes()[t]}`),
    ...found.attributes[found.attrs[i]].map((pair) => pair.join("=")),
  ].join(" ");

  // Keys in the order of the table's columns; the others do not sort.
  const source = (found) => ({
    count: found.name.length,
    row: (i) => tableRow(found, i),
    key: (i, column) =>
      [i + 1, found.name[i], found.words[found.type[i]], found.words[found.op[i]]][column],
    text: (i) => textOf(found, i),
  });

  const open = () => {
    ask("layers", 0, "layers.js").then((found) => window.onnxprof.rows(table, source(found)))
      .catch((error) => { document.getElementById("layers-said").textContent = `${error.message}.`; });
  };
  if (details.open) open(); else details.addEventListener("toggle", open, { once: true });
})();
