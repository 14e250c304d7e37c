"use strict";
// Pointers, keys and buttons of the model plot.
(() => {
  const { plot } = window.onnxprof;
  if (!plot) return;
  const {
    picture, arrange, zoom, pan, fit, start, centre, same, find, showTip, hideTip, save,
  } = plot;

  // The tooltip of the box that is chosen is back when the pointer leaves another.
  const leave = () => {
    const { selected } = plot;
    if (selected && plot.hasTip()) showTip(find(selected) ?? selected); else hideTip();
  };

  // Pointers: one drags, two zoom.
  const pointers = new Map();
  let moved = false;
  const boxAt = (event) => {
    const target = event.target.closest?.("[data-i]");
    return target ? plot.scene?.boxes[target.dataset.i] : null;
  };
  picture.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    moved = false;
  });
  picture.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!plot.scene) return;
    if (!last) {
      const box = boxAt(event);
      if (box && !(box.inner && event.target.tagName === "rect")) showTip(box); else leave();
      return;
    }
    const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
    if (!moved && Math.hypot(dx, dy) < 4) return;
    if (!moved) picture.setPointerCapture(event.pointerId);
    moved = true;
    hideTip();
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
  picture.addEventListener("pointerleave", () => { if (!pointers.size && plot.scene) leave(); });
  picture.addEventListener("click", (event) => {
    if (moved || !plot.scene) return;
    const box = boxAt(event);
    if (box && box.inner && event.target.tagName === "rect") plot.choose(null);
    else if (box) plot.act(box);
    else plot.choose(null);
  });
  // The wheel scrolls the page until the drawing has the focus.
  picture.addEventListener("wheel", (event) => {
    if (!plot.scene || !(event.ctrlKey || document.activeElement === picture)) return;
    event.preventDefault();
    const frame = picture.getBoundingClientRect();
    const step = event.deltaMode ? event.deltaY * 16 : event.deltaY;
    hideTip();
    zoom(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.002)), event.clientX - frame.left, event.clientY - frame.top);
  }, { passive: false });

  // The next box from top to bottom, then from left to right.
  const step = (by) => {
    const { scene, selected } = plot;
    const order = [...scene.boxes].sort((a, b) => a.y - b.y || a.x - b.x);
    const now = selected ? order.findIndex((box) => same(box, selected)) : -1;
    const box = order[Math.min(order.length - 1, Math.max(0, now + by))];
    if (box) { centre(box); plot.choose(box); }
  };
  const enter = () => {
    const box = plot.selected && find(plot.selected);
    if (box) plot.act(box);
  };
  const KEYS = {
    ArrowLeft: () => pan(60, 0), ArrowRight: () => pan(-60, 0), ArrowUp: () => pan(0, 60),
    ArrowDown: () => pan(0, -60), "+": () => zoom(1.3), "=": () => zoom(1.3), "-": () => zoom(1 / 1.3),
    0: fit, n: () => step(1), p: () => step(-1), Home: start, Escape: () => plot.choose(null), Enter: enter,
  };
  picture.addEventListener("keydown", (event) => {
    if (!plot.scene || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    hideTip();
    KEYS[event.key]();
  });

  const unfold = () => {
    plot.graph.scopes.forEach((_, i) => i && plot.open.add(i));
    arrange();
    fit();
  };
  const fold = () => {
    plot.open.clear();
    arrange();
    start();
  };
  const buttons = {
    "zoom-in": () => zoom(1.4), "zoom-out": () => zoom(1 / 1.4), "zoom-fit": fit, unfold, fold, "save-view": save,
  };
  for (const [id, does] of Object.entries(buttons)) {
    document.getElementById(id).addEventListener("click", () => { if (plot.scene) does(); });
  }
})();
