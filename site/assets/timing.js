"use strict";
// What a reader asks of the tables stays in the address: &rows=all, &order=file, &fused=1 of the
// timing table, and what is typed into fields with data-kept="KEY" as &KEY=text.
(() => {
  const { address, selection, model } = window.onnxprof;
  const table = document.getElementById("timing-table");
  const words = document.getElementById("timing-order");
  const buttons = [...document.querySelectorAll("[data-view]")];

  // [key, value] of a button.
  const pair = (button) => button.dataset.view.split("=");
  const isOn = (button) => address.get(pair(button)[0]) === pair(button)[1];
  const view = () => buttons.map(isOn).join();
  let laid = view();

  const LAST = "; rows without a time last.";
  const label = () => {
    const run = model.current();
    const status = run.fail ? [] : run.s.slice(0, -run.sums).map((i) => model.data.names[i]);
    const fused = status.filter((text) => text === "fused").length;
    const rest = status.length - fused;
    const opens = Number(table.dataset.opening);
    const [all, , fusedRows] = buttons;
    const shown = address.get("fused") === null ? rest : status.length;
    all.hidden = shown <= opens && !isOn(all);
    all.textContent = `All ${shown.toLocaleString("en-US")} rows`;
    fusedRows.hidden = !fused && !isOn(fusedRows);
    fusedRows.textContent = `Fused rows, ${fused.toLocaleString("en-US")}`;
    const sorted = table.querySelector("th[aria-sort]");
    words.textContent = sorted ? `By ${sorted.innerText.trim()}${LAST}`
      : address.get("order") === "file" ? "In the order of the file." : "The slowest steps first.";
    for (const button of buttons) button.setAttribute("aria-pressed", String(isOn(button)));
  };

  const place = (name) => {
    const run = model.current();
    if (name === null || run.fail) return null;
    const layer = model.layersOf(run).findIndex((each) => each[0] === name);
    // rows of no layer, such as the sums, have -1 as well
    const found = layer < 0 ? -1 : run.l.indexOf(layer);
    return found < 0 ? null : found;
  };
  const pin = () => window.onnxprof.pin(table, place(selection.current()));

  const lay = () => {
    laid = view();
    model.lay();
    label();
    pin();
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const [key, value] = pair(button);
      if (key === "order") window.onnxprof.unsorted(table);
      address.set({ [key]: isOn(button) ? null : value });
    });
  }
  table.addEventListener("onnxprof:all", (event) => {
    event.preventDefault();
    address.set({ rows: "all" });
  });
  table.tHead.addEventListener("click", () => requestAnimationFrame(label));

  // Fields that the address fills again after Back.
  const fields = [...document.querySelectorAll("[data-kept]")];
  // What is typed is written when one pauses or leaves: browsers count how often an address changes.
  const PAUSE_MS = 300;
  const pending = new Map();
  const write = (field) => {
    clearTimeout(pending.get(field));
    pending.delete(field);
    address.set({ [field.dataset.kept]: field.value });
  };
  const fill = () => {
    for (const field of fields) {
      const wanted = address.get(field.dataset.kept) ?? "";
      if (field.value === wanted || pending.has(field)) continue;
      field.value = wanted;
      const closed = field.closest("details");
      if (closed && wanted) closed.open = true;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  };
  let filling = false;
  for (const field of fields) {
    field.addEventListener("input", () => {
      if (filling) return;
      clearTimeout(pending.get(field));
      pending.set(field, setTimeout(write, PAUSE_MS, field));
    });
    field.addEventListener("change", () => write(field));
  }
  const heard = () => {
    filling = true;
    fill();
    filling = false;
    if (view() !== laid) lay();
  };

  address.onChange(heard);
  document.addEventListener("onnxprof:shown", () => { label(); pin(); });
  selection.onChange(pin);
  label();
  heard();
})();
