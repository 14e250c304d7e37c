"use strict";
// One selection for the whole page: the layer in the address, &l=NAME. Whatever stands for a layer
// has `data-layer="NAME"`; it is lit when that layer is chosen, and chooses it by a click or Enter.
//
//   selection.choose(name, { push, focus })   null for none; in place of the entry unless `push`,
//                                             `focus` asks the panel to take the focus
//   selection.onChange((name, { focus }) => …) called after each change, and at once if one is chosen
//   selection.current()                       the name, or null
//   selection.step(name)                      the layers that the shown run executes as one with it
(() => {
  const { address, model } = window.onnxprof;
  const MARKED = "[data-layer]";
  const listeners = [];
  let chosen = null;
  let kin = new Set();

  // The layers of the step that does a layer's work in the run that is shown, itself included.
  const step = (name) => {
    const run = model.current();
    const layers = model.layersOf(run);
    const place = layers.findIndex((layer) => layer[0] === name);
    const homes = model.homesOf(run);
    if (place < 0 || !homes.has(place)) return [name];
    const home = homes.get(place);
    return [...homes].filter(([, other]) => other === home).map(([layer]) => layers[layer][0]);
  };

  const light = (element) => {
    const name = element.dataset.layer;
    const lit = chosen !== null && name === chosen;
    element.classList.toggle("lit", lit);
    element.classList.toggle("kin", !lit && kin.has(name));
    // A row says so by the link in it.
    const says = element.matches("a, button, li") ? element : element.querySelector("a.layer");
    if (lit) says?.setAttribute("aria-current", "true"); else says?.removeAttribute("aria-current");
  };
  const lightAll = (root) => {
    if (root.matches?.(MARKED)) light(root);
    root.querySelectorAll(MARKED).forEach(light);
  };
  // What is made later, such as rows, is lit as well.
  const watcher = new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) if (node.nodeType === Node.ELEMENT_NODE) lightAll(node);
    }
  });

  const relight = () => {
    watcher.disconnect();
    kin = new Set(chosen === null ? [] : step(chosen));
    lightAll(document);
    if (chosen !== null) watcher.observe(document.body, { childList: true, subtree: true });
  };
  const become = (name, how) => {
    if (name === chosen) return;
    chosen = name;
    relight();
    listeners.forEach((heard) => heard(chosen, how));
  };

  const selection = {
    current: () => chosen,
    step,
    choose: (name, { push = true, focus = false } = {}) => {
      become(name, { focus });
      address.set({ l: name }, { push });
    },
    onChange: (heard) => {
      listeners.push(heard);
      if (chosen !== null) heard(chosen, { focus: false });
    },
  };

  // A link or a button inside of it has its own click; a drag over a row's text is none.
  const isOther = (event, marked) => {
    const inner = event.target.closest("a, button, input, select, summary, label");
    if (inner && inner !== marked && marked.contains(inner)) return !inner.classList.contains("layer");
    return !inner && String(getSelection()) !== "";
  };
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const marked = event.target.closest(MARKED);
    if (!marked || isOther(event, marked)) return;
    event.preventDefault();
    // a click by key has no detail
    selection.choose(marked.dataset.layer, { focus: event.detail === 0 });
  });
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    if ((event.key !== "Enter" && event.key !== " ") || !target.matches(MARKED)) return;
    if (target.matches("a[href], button, summary")) return;
    event.preventDefault();
    selection.choose(target.dataset.layer, { focus: true });
  });

  window.onnxprof.selection = selection;
  address.onChange(() => become(address.get("l"), { focus: false }));
  document.addEventListener("onnxprof:shown", relight);
  become(address.get("l"), { focus: false });
})();
