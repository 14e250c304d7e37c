"use strict";
// One file that holds a whole site. It comes with its first page; any other stands in the address as
// ?page=PATH and is put in place of that one. Scripts run when their page is there, by the hashes of the
// file's policy; data is only ever parsed.
(async () => {
  const at = (id) => document.getElementById(id);
  const { first, title, scripts } = JSON.parse(at("held-first").textContent);
  const asked = new URLSearchParams(location.search);
  const wanted = asked.get("page") ?? first;
  if (!("DecompressionStream" in window)) {
    document.body.prepend("This browser is too old to read the rest of this file: its other pages, tables and downloads.");
    return;
  }

  // The bytes of every file, behind a line that says where each begins and how long it is.
  const packed = Uint8Array.from(atob(at("held").textContent), (char) => char.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const line = bytes.indexOf(10) + 1;
  const places = new Map(JSON.parse(decoder.decode(bytes.subarray(0, line))));
  const content = (path) => {
    const [start, size] = places.get(path);
    return bytes.subarray(line + start, line + start + size);
  };
  const text = (path) => decoder.decode(content(path));

  const page = places.has(wanted) && wanted.endsWith(".html") ? wanted : first;
  const isPage = (path) => path === first || (places.has(path) && path.endsWith(".html"));
  // Where an address of a page leads to within the file, without what is behind `#` and `?`.
  const resolved = (address) => new URL(address, `x://x/${page}`).pathname.slice(1);

  // Data is one call with values for its arguments; none of it is run.
  const CALL = /^(?:window\.)?onnxprof\.(\w+)\(([^]*)\);\s*$/;
  const deliver = (path) => {
    const [, name, values] = CALL.exec(text(path));
    window.onnxprof[name](...JSON.parse(`[${values}]`));
  };
  const run = (path) => {
    if (!places.has(path)) return;
    if (!path.startsWith("assets/")) { deliver(path); return; }
    const script = document.createElement("script");
    script.textContent = text(path);
    document.body.append(script);
  };

  // Links to pages lead to them here, those to files save them, and those to what is not held are none.
  const query = (path) => {
    const values = new URLSearchParams(asked);
    values.set("page", path);
    return `?${values}`.replaceAll("%2F", "/");
  };
  const urls = new Map();
  const saved = (path) => {
    if (!urls.has(path)) urls.set(path, URL.createObjectURL(new Blob([content(path)])));
    return urls.get(path);
  };
  const isRelative = (address) => Boolean(address) && !/^(?:[#?]|[a-z][a-z0-9+.-]*:)/i.test(address);
  const lead = (link, address) => {
    const path = resolved(address);
    const cut = address.indexOf("#");
    if (isPage(path)) link.setAttribute("href", query(path) + (cut < 0 ? "" : address.slice(cut)));
    else if (places.has(path)) link.setAttribute("href", address);
    else link.removeAttribute("href");
  };
  // Scripts set addresses as they do on a site; they are looked at before they are used, and a file is
  // made when it is about to be saved.
  const look = ({ target }) => {
    const link = target.closest?.("a[href]");
    const address = link?.getAttribute("href");
    if (!isRelative(address)) return;
    const path = resolved(address);
    lead(link, address);
    if (isPage(path) || !places.has(path)) return;
    link.setAttribute("href", saved(path));
    link.setAttribute("download", path.split("/").at(-1));
  };
  for (const event of ["pointerover", "focusin", "click", "auxclick"]) document.addEventListener(event, look, true);

  window.onnxprofHeld = {
    load: async (path) => {
      const there = resolved(path);
      if (!places.has(there)) throw new Error(`${path} is not in this file`);
      deliver(there);
    },
  };

  const turnTo = () => {
    const parsed = new DOMParser().parseFromString(text(page), "text/html");
    const attributes = (selector, name) =>
      [...parsed.querySelectorAll(selector)].map((node) => resolved(node.getAttribute(name)));
    const styles = attributes("link[rel=stylesheet]", "href");
    const needed = attributes("script[src]", "src");
    for (const node of parsed.querySelectorAll("noscript, script[src]")) node.remove();
    for (const link of parsed.querySelectorAll("a[href]")) {
      const address = link.getAttribute("href");
      if (isRelative(address)) lead(link, address);
    }
    document.title = parsed.title;
    for (const style of document.querySelectorAll("head style")) style.remove();
    document.head.append(...styles.map((path) => {
      const style = document.createElement("style");
      style.textContent = text(path);
      return style;
    }));
    document.body.replaceWith(document.adoptNode(parsed.body));
    return needed;
  };

  const stay = () => {
    document.title = title;
    for (const link of document.querySelectorAll("a[data-href]")) lead(link, link.dataset.href);
    return scripts;
  };

  (page === first ? stay() : turnTo()).forEach(run);
  // An address that names a run or a layer is for the page's own scripts.
  const name = /^#[\w-]+$/.exec(location.hash)?.[0].slice(1);
  if (name) at(name)?.scrollIntoView();
})();
