"use strict";
// Finds layers of the model plot while one types; Enter goes from match to match.
(() => {
  const { plot } = window.onnxprof;
  if (!plot) return;
  const { set, nameOf, again } = plot;
  const input = document.getElementById("find-node");
  const found = document.getElementById("found");
  let matches = [];
  let place = -1;

  const search = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    matches = [];
    place = -1;
    if (plot.scene && words.length) {
      plot.graph.nodes.forEach(([row], node) => {
        const text = `${nameOf(node)} ${row < 0 ? "" : set()[row][1]}`.toLowerCase();
        if (words.every((word) => text.includes(word))) matches.push(node);
      });
    }
    plot.hits = new Set(matches);
    if (plot.scene) again();
    found.textContent = words.length ? `${matches.length} found` : "";
  };
  const go = (by) => {
    if (!matches.length) return;
    place = (place + by + matches.length) % matches.length;
    found.textContent = `${place + 1} of ${matches.length}`;
    plot.jump(matches[place]);
  };
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    go(event.shiftKey ? -1 : 1);
  });

  plot.search = search;
})();
