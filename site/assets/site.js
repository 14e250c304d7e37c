"use strict";
// Sorting and filtering for every table; nothing here knows what a table is about.
(() => {
  document.documentElement.classList.add("js");

  const column = (th) => [...th.parentNode.children].indexOf(th);

  const key = (row, index, numeric) => {
    const cell = row.children[index];
    if (!numeric) return cell.textContent.trim();
    return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
  };

  const words = new Intl.Collator("en", { numeric: true });
  // Rows without a value stay last, whichever way the others go.
  const compare = (a, b, numeric, sign) => {
    if (a === b) return 0;
    if (a === null || a === "") return 1;
    if (b === null || b === "") return -1;
    return sign * (numeric ? a - b : words.compare(a, b));
  };

  // The first rows at once, the others frame by frame: a browser lays out what is moved anew.
  const AT_ONCE = 80;
  const turns = new WeakMap();
  const arrange = (body, rows) => {
    const turn = {};
    turns.set(body, turn);
    body.prepend(...rows.slice(0, AT_ONCE));
    const more = (from) => {
      if (from >= rows.length) return;
      // after a frame has been shown, not before
      requestAnimationFrame(() => setTimeout(() => {
        const last = rows[from - 1];
        if (turns.get(body) !== turn || last.parentNode !== body) return;
        last.after(...rows.slice(from, from + AT_ONCE));
        more(from + AT_ONCE);
      }));
    };
    more(AT_ONCE);
  };

  const sort = (th, direction) => {
    const table = th.closest("table");
    const numeric = th.dataset.sort === "number";
    const index = column(th);
    const sign = direction === "descending" ? -1 : 1;
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [key(row, index, numeric), row]);
    rows.sort((a, b) => compare(a[0], b[0], numeric, sign));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    th.setAttribute("aria-sort", direction);
    arrange(body, rows.map((pair) => pair[1]));
  };

  // The first click on a number shows the largest; a row number counts up.
  const next = (th) => {
    const now = th.getAttribute("aria-sort");
    if (now) return now === "ascending" ? "descending" : "ascending";
    const falls = th.dataset.sort === "number" && th.textContent.trim() !== "#";
    return falls ? "descending" : "ascending";
  };

  // What the selects beside a table ask for: { task, device, runtime }, numbers as text.
  const picked = (table) => Object.fromEntries(
    [...document.querySelectorAll(`select[data-pick~="${table.id}"]`)]
      .filter((select) => select.value).map((select) => [select.id, select.value]));

  // A row says where it was measured as pairs: "0.1 0.2", device and runtime.
  const fits = (row, { task, device, runtime }) =>
    (task === undefined || row.dataset.task === task)
    && ((device ?? runtime) === undefined || row.dataset.where.split(" ").some((pair) => {
      const [at, by] = pair.split(".");
      return (device ?? at) === at && (runtime ?? by) === by;
    }));

  const showColumns = (table, { device, runtime }) => {
    [...table.tHead.rows[0].cells].forEach((th, i) => {
      if (th.dataset.device === undefined) return;
      const out = (device ?? th.dataset.device) !== th.dataset.device
        || (th.dataset.runtime !== undefined && (runtime ?? th.dataset.runtime) !== th.dataset.runtime);
      if (th.hidden !== out) for (const row of table.rows) row.cells[i].hidden = out;
    });
  };

  const filter = (table) => {
    const input = document.querySelector(`input[data-filter~="${table.id}"]`);
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = picked(table);
    const rows = [...table.tBodies[0].rows];
    let shown = 0;
    for (const row of rows) {
      const text = row.dataset.text ?? row.textContent.toLowerCase();
      row.hidden = !(words.every((word) => text.includes(word)) && fits(row, wanted));
      shown += !row.hidden;
    }
    showColumns(table, wanted);
    const output = document.querySelector(`output[data-count="${table.id}"]`);
    if (!output) return;
    output.dataset.all ??= output.textContent;
    const asked = words.length || Object.keys(wanted).length;
    output.textContent = asked ? `${shown} of ${rows.length}` : output.dataset.all;
  };

  const named = (list) => list.split(" ").map((id) => document.getElementById(id));

  // A table whose rows were replaced keeps its order and its filter.
  window.onnxprof = {
    again(table) {
      const th = table.tHead.querySelector("th[aria-sort]");
      if (th) sort(th, th.getAttribute("aria-sort"));
      const input = document.querySelector(`input[data-filter~="${table.id}"]`);
      if (input && input.value) filter(table);
    },
  };

  document.addEventListener("click", (event) => {
    const th = event.target.closest("table.sortable th[data-sort]");
    if (th && event.target.closest("button")) sort(th, next(th));
  });
  document.addEventListener("input", (event) => {
    const tables = event.target.dataset.filter ?? event.target.dataset.pick;
    if (tables) named(tables).forEach(filter);
  });
  for (const input of document.querySelectorAll("[data-filter], [data-pick]")) {
    if (input.value) named(input.dataset.filter ?? input.dataset.pick).forEach(filter);
  }
})();
