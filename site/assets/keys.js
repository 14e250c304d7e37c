"use strict";
// Many things, one Tab stop: arrow keys go from dot to dot of a chart, and from row to row of a table
// whose names are links.
(() => {
  // Dots of a chart: left and right along a line, up and down to the next line at that batch size.
  const place = (link) => {
    const dot = link.querySelector("circle");
    return dot ? [Number(dot.getAttribute("cx")), Number(dot.getAttribute("cy"))] : null;
  };
  const charts = [...document.querySelectorAll(".panel svg[role=document]")];
  const inside = (chart) => [...chart.querySelectorAll("a")];
  const only = (chart, link) => {
    for (const other of inside(chart)) other.setAttribute("tabindex", other === link ? "0" : "-1");
  };
  const shown = (chart) => chart.querySelector(".line a.on") ?? chart.querySelector(".line a") ?? inside(chart)[0];

  const along = (link, by) => {
    const line = [...link.parentNode.querySelectorAll(":scope > a")];
    return line[line.indexOf(link) + by];
  };
  // The nearest dot in that direction, of lines other than its own; names stand behind the dots.
  const across = (chart, link, by) => {
    const from = place(link);
    const others = inside(chart).filter((other) => place(other) && other.parentNode !== link.parentNode)
      .map((other) => [other, place(other)])
      .filter(([, [x, y]]) => Math.abs(x - from[0]) < 1 && (y - from[1]) * by > 0)
      .sort(([, a], [, b]) => (a[1] - b[1]) * by);
    return others[0]?.[0];
  };
  const names = (chart) => [...chart.querySelectorAll("a.name")];
  const besideName = (chart, link, key) => {
    const all = names(chart);
    if (key === "ArrowUp" || key === "ArrowDown") return all[all.indexOf(link) + (key === "ArrowDown" ? 1 : -1)];
    return key === "ArrowLeft" ? chart.querySelector(`.line[data-system="${CSS.escape(link.dataset.system)}"] > a:last-of-type`) : null;
  };
  const aim = (chart, link, key) => {
    if (link.matches(".name")) return besideName(chart, link, key);
    if (key === "ArrowRight") {
      return along(link, 1) ?? names(chart).find((name) => name.dataset.system === link.parentNode.dataset.system);
    }
    if (key === "ArrowLeft") return along(link, -1);
    if (key === "Home") return along(link, -[...link.parentNode.querySelectorAll(":scope > a")].indexOf(link));
    if (key === "End") return link.parentNode.querySelector(":scope > a:last-of-type");
    return key === "ArrowUp" || key === "ArrowDown" ? across(chart, link, key === "ArrowUp" ? -1 : 1) : null;
  };

  for (const chart of charts) {
    only(chart, shown(chart));
    chart.addEventListener("focusin", (event) => {
      const link = event.target.closest("a");
      if (link) only(chart, link);
    });
    chart.addEventListener("keydown", (event) => {
      const link = event.target.closest("a");
      if (!link || event.ctrlKey || event.metaKey || event.altKey) return;
      const wanted = aim(chart, link, event.key);
      if (!/^(Arrow|Home$|End$)/.test(event.key)) return;
      event.preventDefault();
      wanted?.focus();
    });
  }
  // The dot of the run that is shown is where Tab comes in.
  document.addEventListener("onnxprof:shown", () => {
    for (const chart of charts) if (!chart.contains(document.activeElement)) only(chart, shown(chart));
  });

  // Rows: down from the table's frame into its rows, Escape back to it.
  const links = (frame) => [...frame.querySelectorAll("tbody a.layer")];
  const entry = (all) => all.find((link) => link.hasAttribute("aria-current")) ?? all[0];
  const goal = (all, link, key) => {
    const now = all.indexOf(link);
    if (now < 0) return key === "ArrowDown" ? entry(all) : null;
    const to = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: all.length - 1 }[key];
    return to === undefined ? null : all[to];
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const frame = event.target.closest?.(".scroll");
    if (!frame || !(event.target === frame || event.target.matches("tbody a.layer"))) return;
    const all = links(frame);
    if (event.key === "Escape" && event.target !== frame && !window.onnxprof.selection?.current()) {
      frame.focus();
      return;
    }
    const wanted = goal(all, event.target, event.key);
    const leaves = event.key === "ArrowUp" && event.target === all[0];
    if (!wanted && !leaves) return;
    event.preventDefault();
    (wanted ?? frame).focus();
  });
})();
