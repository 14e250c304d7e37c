"use strict";
// The list of contents: open beside the page where there is room, folded elsewhere; it says where one
// is. Links within the page keep what the address says of it.
(() => {
  const { address } = window.onnxprof;
  const list = document.getElementById("contents");
  const here = document.getElementById("contents-here");
  const wide = matchMedia("(min-width: 100rem)");

  const fit = () => { list.open = wide.matches; };
  wide.addEventListener("change", fit);
  fit();

  const links = [...list.querySelectorAll("a")];
  const sections = links.map((link) => document.getElementById(link.hash.slice(1)).closest("section"));
  const inView = new Set();
  const tell = () => {
    const now = sections.findIndex((section) => inView.has(section));
    if (now < 0) return;
    links.forEach((link, i) => {
      if (i === now) link.setAttribute("aria-current", "location"); else link.removeAttribute("aria-current");
    });
    here.textContent = links[now].textContent;
  };
  // A section counts while it crosses a band below the top of the window.
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) inView.add(target); else inView.delete(target);
    }
    tell();
  }, { rootMargin: "-15% 0px -70% 0px" });
  sections.forEach((section) => watcher.observe(section));

  // What stays at the top of the window covers nothing that is scrolled to, however many lines it takes.
  const bar = document.getElementById("choice");
  const makeRoom = () => {
    const stays = getComputedStyle(bar).position === "sticky";
    document.documentElement.style.scrollPaddingTop = stays ? `${bar.offsetHeight + 10}px` : "";
  };
  new ResizeObserver(makeRoom).observe(bar);
  makeRoom();

  const goTo = (id) => {
    const target = document.getElementById(id);
    target.scrollIntoView();
    if (!target.hasAttribute("tabindex")) target.tabIndex = -1;
    target.focus({ preventScroll: true });
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const id = link.getAttribute("href").slice(1);
    if (!document.getElementById(id)) return;
    event.preventDefault();
    if (!wide.matches && list.contains(link)) list.open = false;
    // the link that skips the head of the page is no place in it
    if (sections.some((section) => section.contains(document.getElementById(id)))) {
      address.set({ at: id }, { push: true });
    }
    goTo(id);
  });
  const asked = address.get("at");
  if (asked && document.getElementById(asked)) goTo(asked);
})();
