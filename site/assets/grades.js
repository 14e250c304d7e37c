"use strict";
// The grade of the run that is shown, its warnings folded into a line, and its percentiles.
(() => {
  const { el, current } = window.onnxprof.model;
  const at = (id) => document.getElementById(id);

  const showTail = (tail) => {
    at("tail").hidden = !tail.length;
    at("percentiles").tBodies[0].replaceChildren(...tail.map(([name, ...cells]) => {
      const head = el("th", "", name);
      head.scope = "row";
      return el("tr", "", head, ...cells.map((text) => el("td", "", text)));
    }));
  };

  const show = () => {
    const run = current();
    showTail(run.tail ?? []);
    at("grade").hidden = !run.grade;
    at("grade").className = `grade ${run.grade ?? ""}`.trim();
    at("grade").textContent = run.grade ?? "";
    at("unchecked").hidden = !run.unchecked;
    at("unchecked").textContent = run.unchecked ?? "";
    const texts = run.warn ?? [];
    at("caveats").hidden = !texts.length;
    at("caveats-kinds").textContent = run.kinds ?? "";
    at("warnings").replaceChildren(...texts.map((text) => el("li", "", ...window.onnxprof.unbroken(text))));
  };

  // The page comes with the first run in it.
  const first = window.onnxprof.model.data.runs.find((run) => !run.fail);
  if (first && current() !== first) show();
  document.addEventListener("onnxprof:shown", show);
})();
