"use strict";
// How to repeat the run that is shown; its lines, the page's address and both as Markdown to copy.
(() => {
  const { model, unbroken } = window.onnxprof;
  const at = (id) => document.getElementById(id);
  const said = at("copied");

  const shown = () => {
    const [install, file, command, note, differs] = model.current().again;
    return { install, file, command, note, differs };
  };

  const stopped = (text) => (text ? `${text}.` : "");
  const show = () => {
    const { install, file, command, note, differs } = shown();
    at("repeat-lines").hidden = !command;
    at("repeat-install").replaceChildren(...unbroken(install));
    at("repeat-model").replaceChildren(...unbroken(file));
    at("repeat-command").replaceChildren(...unbroken(command));
    at("repeat-note").textContent = stopped(note);
    at("repeat-differs").textContent = stopped(differs);
    said.textContent = "";
  };

  // Where pages are not secure, as on a plain HTTP address of a network, there is no clipboard.
  const selected = (text) => {
    const area = document.createElement("textarea");
    area.value = text;
    area.readOnly = true;
    area.className = "quiet";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };
  const copy = async (text, what, button) => {
    let done = false;
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch {
      done = selected(text);
      button.focus();
    }
    said.textContent = done ? `${what} copied.` : `The browser does not let the page copy.`;
  };

  // The address of this run, wherever the site is said to be.
  const link = () => {
    const canonical = document.querySelector("link[rel=canonical]");
    const { systems } = model.data;
    const run = model.current();
    const base = canonical ? canonical.href : location.href.split("#")[0];
    return `${base}${location.hash || `#${systems[run.sys].key}/${run.batch}`}`;
  };

  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/@/g, "&#64;")
    .replace(/[\\|*_`[\]~#]/g, "\\$&");
  // A fence is longer than any run of backticks in it.
  const fenced = (lines) => {
    const longest = Math.max(2, ...[...lines.join("\n").matchAll(/`+/g)].map((run) => run[0].length));
    const fence = "`".repeat(longest + 1);
    return [`${fence}sh`, ...lines, fence];
  };
  const markdown = () => {
    const { install, file, command, note, differs } = shown();
    const run = model.current();
    const title = document.querySelector("h1").textContent.trim();
    const where = `${model.data.systems[run.sys].label}, batch ${run.batch}`;
    const sentence = run.fail ? `This measurement failed: ${run.fail}`
      : `${run.wrong ? `Wrong outputs (${run.wrong}): ` : ""}${run.text}`;
    return [
      `**${escaped(title)}**, ${escaped(where)}`, "",
      `${escaped(sentence)}. <${link().replace(/[<>\s]/g, encodeURIComponent)}>`, "",
      ...(command ? [...fenced([install, file, command]), ""] : []),
      [note, differs].filter(Boolean).map((text) => `${escaped(text)}.`).join(" "), "",
    ].join("\n");
  };

  for (const button of document.querySelectorAll("[data-copies]")) {
    const what = button.parentNode.querySelector(".what").textContent;
    button.addEventListener("click", () => copy(at(button.dataset.copies).textContent, what, button));
  }
  at("copy-link").addEventListener("click", (event) => copy(link(), "Link", event.currentTarget));
  at("copy-markdown").addEventListener("click", (event) =>
    copy(markdown(), "Markdown", event.currentTarget));
  document.addEventListener("onnxprof:shown", show);
  show();
})();
