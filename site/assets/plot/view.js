"use strict";
// The part of the model plot that is seen: it is drawn, moved and zoomed.
(() => {
  const { plot } = window.onnxprof;
  if (!plot) return;
  const { svg } = window.onnxprof.model;
  const { contents, round } = plot;
  const [LEAST, MOST, READABLE] = [0.02, 3, 0.4];
  const stage = document.getElementById("stage");

  const picture = svg("svg", {
    class: "picture", tabindex: "0", role: "application", "aria-label": stage.dataset.label,
    "aria-describedby": "plot-keys",
  });
  const root = svg("g", {});
  picture.append(root);
  stage.append(picture);

  let view = { k: 1, x: 0, y: 0 };
  let drawn = null;

  const arrange = () => {
    plot.scene = window.onnxprof.scene(plot.graph, plot.open);
    drawn = null;
  };

  const area = (more) => {
    const { clientWidth: w, clientHeight: h } = picture;
    return {
      x0: (-view.x - more * w) / view.k, y0: (-view.y - more * h) / view.k,
      x1: ((1 + more) * w - view.x) / view.k, y1: ((1 + more) * h - view.y) / view.k,
    };
  };

  const render = () => {
    if (!plot.scene) return;
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
    const { scene } = plot;
    const { clientWidth: w, clientHeight: h } = picture;
    const k = Math.min(1.2, Math.max(LEAST, Math.min((w - 32) / scene.w, (h - 32) / scene.h)));
    view = { k, x: (w - scene.w * k) / 2, y: Math.max(16, (h - scene.h * k) / 2) };
    later();
  };
  // From the top, as wide as it can be read.
  const start = () => {
    const { scene } = plot;
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
  // Brings a box into view, large enough to be read.
  const look = (box) => {
    const { scene } = plot;
    const { clientWidth: w, clientHeight: h } = picture;
    const seen = area(0);
    const isSeen = box.x >= seen.x0 && box.x + box.w <= seen.x1 && box.y >= seen.y0 && box.y + box.h <= seen.y1;
    if (isSeen && view.k >= 0.8) return;
    const k = Math.max(view.k, 0.8);
    // no further than the drawing goes, which may be smaller than the room for it
    const within = (at, size, room) => Math.min(16, Math.max(Math.min(16, room - size * k - 16), at));
    view = {
      k, x: scene.w * k < w ? (w - scene.w * k) / 2 : within(w / 2 - (box.x + box.w / 2) * k, scene.w, w),
      y: within(h / 3 - box.y * k, scene.h, h),
    };
    later();
  };

  // The middle stays where it is when the room changes.
  let wide = stage.clientWidth;
  new ResizeObserver(() => {
    view = { ...view, x: view.x + (stage.clientWidth - wide) / 2 };
    wide = stage.clientWidth;
    again();
  }).observe(stage);

  Object.assign(plot, {
    picture, arrange, again, zoom, pan, fit, start, centre, look, view: () => view,
  });
})();
