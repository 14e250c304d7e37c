"use strict";
// The drawing as it is coloured and unfolded now, whole, in a file of its own.
(() => {
  const { plot } = window.onnxprof;
  if (!plot) return;
  const { data, el, svg } = window.onnxprof.model;
  const { SHARES, contents, round } = plot;
  const stage = document.getElementById("stage");

  const style = (value) => {
    const colours = SHARES.concat(0).map((_, i) => [value(`--h${i}`), value(`--t${i}`)]);
    return [
      `text{font:11px ${value("--sans")};fill:${value("--ink")}}.op{font-weight:600}`,
      ".name,.end{font-size:9.5px}.end{text-anchor:end}",
      `.b{fill:${value("--page")};stroke:${value("--faint")}}.cold .b,.reference .b{stroke-dasharray:3 2}`,
      `.opened .b{fill:none}.edges,.stack{fill:none;stroke:${value("--faint")}}`,
      ".near{display:none}.thick{fill:none;stroke-width:14}.outline.thick{stroke-width:17}",
      `.outline{fill:none;stroke:${value("--ink")};stroke-width:3}.inside{stroke:none}`,
      ...colours.map(([fill, ink], i) =>
        `.h${i} .b,.h${i} .inside{fill:${fill}}.h${i} .inside.thick{stroke:${fill};fill:none}.h${i} text{fill:${ink}}`),
      "g.merged .b{stroke:none;fill:none}",
    ].join("\n");
  };
  const markup = () => {
    const css = getComputedStyle(document.documentElement);
    const value = (name) => css.getPropertyValue(name).trim();
    const { w, h } = plot.scene;
    const whole = svg("svg", {
      xmlns: "http://www.w3.org/2000/svg", width: round(w + 40), height: round(h + 40),
      viewBox: `-20 -20 ${round(w + 40)} ${round(h + 40)}`,
    });
    whole.append(...contents({ x0: -1e9, y0: -1e9, x1: 1e9, y1: 1e9 }, false));
    const rules = style(value).replace(/&/g, "&amp;").replace(/</g, "&lt;");
    return new XMLSerializer().serializeToString(whole).replace(">",
      `><style>${rules}</style><rect x="-20" y="-20" width="100%" height="100%" fill="${value("--page")}"/>`);
  };

  plot.save = () => {
    const { run } = plot.heat;
    const link = el("a");
    link.href = URL.createObjectURL(new Blob([markup()], { type: "image/svg+xml" }));
    link.download = `${stage.dataset.slug}.${data.systems[run.sys].key}.b${run.batch}.svg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
})();
