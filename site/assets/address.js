"use strict";
// What a model's page shows, as its fragment says: #SYSTEM/BATCH, a second run behind `~`, then keys
// as in &l=LAYER. A first part without a slash is no run: it names a part of the page.
(() => {
  const listeners = [];
  const decoded = (text) => {
    try { return decodeURIComponent(text); } catch { return text; }
  };
  const encoded = (text) => encodeURIComponent(text.toWellFormed?.() ?? text);

  const read = () => {
    const [head, ...pairs] = location.hash.slice(1).split("&");
    const keys = new Map(pairs.filter((pair) => pair.includes("=")).map((pair) => {
      const cut = pair.indexOf("=");
      return [pair.slice(0, cut), decoded(pair.slice(cut + 1))];
    }));
    return { head, keys };
  };
  const spelled = (head, keys) =>
    `#${head}${[...keys].map(([key, value]) => `&${key}=${encoded(value)}`).join("")}`;

  const address = {
    // The run, or the two, that the page itself would name; model.js knows.
    home: () => "",
    // SYSTEM/BATCH or SYSTEM/BATCH~SYSTEM/BATCH; empty where no run is named.
    run: () => (read().head.includes("/") ? read().head : ""),
    get: (key) => read().keys.get(key) ?? null,
    // The fragment with other values of some keys; null or "" leaves one out.
    with: (changes, head = address.run() || address.home()) => {
      const { keys } = read();
      for (const [key, value] of Object.entries(changes)) {
        if (value === null || value === "") keys.delete(key); else keys.set(key, String(value));
      }
      return spelled(head, keys);
    },
    // Writes the keys: as a step that Back takes back, or in place.
    set: (changes, { push = false } = {}) => {
      const wanted = address.with(changes);
      if (wanted === location.hash) return;
      history[push ? "pushState" : "replaceState"](null, "", wanted);
      listeners.forEach((heard) => heard());
    },
    // Called after each change, whoever made it.
    onChange: (heard) => { listeners.push(heard); },
  };

  // Neither pushState nor replaceState says so; Back and links do.
  window.addEventListener("hashchange", () => listeners.forEach((heard) => heard()));
  window.onnxprof.address = address;
})();
