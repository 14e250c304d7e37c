"use strict";
// Earlier runs, read when they are chosen; the strip of the run that is shown; what differs between
// the two runs that are compared.
(() => {
  const {
    data, el, ask, current, other, spelled, parts, receive, again,
  } = window.onnxprof.model;
  const { address } = window.onnxprof;
  const at = (id) => document.getElementById(id);
  const past = data.history;
  window.onnxprof.earlier = receive("earlier");

  const listed = past.earlier.map(([number, stamp, file, when]) =>
    ({ of: data.runs[number], stamp, file, when, run: null }));
  const addressOf = ({ of, stamp }) => `${spelled(of)}@${stamp}`;

  // From the names and tables of the run's own file to those of the page.
  const places = new Map(data.names.map((name, i) => [name, i]));
  const placed = (name) => {
    if (!places.has(name)) places.set(name, data.names.push(name) - 1);
    return places.get(name);
  };
  const setOf = (layers) => {
    const text = JSON.stringify(layers);
    const known = data.sets.findIndex((set) => JSON.stringify(set) === text);
    return known < 0 ? data.sets.push(layers) - 1 : known;
  };
  const adopt = (entry, { run, set, shapes, graph, names, facts, why }) => {
    const here = names.map(placed);
    const layers = set.map(([name, operator, tensor]) => [name, names[operator], tensor]);
    const table = data.tables.push({ set: setOf(layers), graph, shapes }) - 1;
    const adopted = {
      ...run, table, stamp: entry.stamp, when: entry.when, of: entry.of, facts: new Map(facts),
      why,
    };
    for (const column of ["n", "s", "t", "o"]) {
      if (run[column]) adopted[column] = run[column].map((i) => here[i]);
    }
    if (run.k) adopted.k = run.k.map(([row, operator]) => [row, here[operator]]);
    entry.run = adopted;
  };

  const say = (text) => { if (at("history-said")) at("history-said").textContent = text; };
  const find = (sys, batch, stamp) => {
    const entry = listed.find((each) =>
      each.stamp === stamp && each.of.sys === sys && each.of.batch === batch);
    if (entry && !entry.run && !entry.asked) {
      entry.asked = true;
      ask("earlier", entry.file, `history/${entry.file}.js`).then((found) => {
        adopt(entry, found);
        again(find);
        document.dispatchEvent(new Event("onnxprof:read"));
      }).catch((error) => say(error.message));
    }
    return entry?.run ?? null;
  };

  // When the runs of the system and batch size that are shown were measured, the newest first.
  const whenShown = () => {
    const run = current();
    const of = run.of ?? run;
    const mine = listed.filter((entry) => entry.of === of);
    at("whens").hidden = !mine.length;
    const all = [
      ...mine.map((entry) => [entry.when, addressOf(entry)]),
      [of.made.replace("T", " ").replace("Z", ""), spelled(of)],
    ];
    const moment = ([when]) => (/^\d/.test(when) ? when : "");
    all.sort((a, b) => (moment(a) < moment(b) ? 1 : -1));
    at("when").replaceChildren(...all.map(([when, of]) => option(when, of)));
    at("when").value = spelled(run);
  };
  const option = (text, value) => {
    const node = el("option", "", text);
    node.value = value;
    return node;
  };
  at("when").addEventListener("change", () => {
    location.hash = address.with({}, [at("when").value, parts()[1]].filter(Boolean).join("~"));
  });
  if (at("other")) {
    at("other").append(...listed.toReversed().map((entry) => {
      const { short } = data.systems[entry.of.sys];
      return option(`${short}, batch ${entry.of.batch}, ${entry.when}`, addressOf(entry));
    }));
  }

  // One strip at a time; its dots are one stop of the Tab key, the arrows go from dot to dot.
  const figures = [...document.querySelectorAll("figure.past")];
  at("history-others")?.replaceWith(...figures.slice(1));
  const dots = (figure) => [...figure.querySelectorAll("svg a")];
  const stampOf = (run) => run.stamp ?? past.stamps[data.runs.indexOf(run)];
  const showStrip = () => {
    if (!figures.length) return;
    const run = current();
    const key = spelled(run.of ?? run);
    const here = `#${key}@${stampOf(run)}`;
    for (const figure of figures) {
      figure.hidden = figure.dataset.request !== key;
      for (const dot of dots(figure)) {
        const on = dot.getAttribute("href") === here;
        dot.classList.toggle("on", on);
        dot.setAttribute("tabindex", on ? "0" : "-1");
        if (on) dot.setAttribute("aria-current", "true");
        else dot.removeAttribute("aria-current");
      }
    }
    at("history-once").hidden = figures.some((figure) => !figure.hidden);
  };
  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const dot = event.target.closest?.("figure.past svg a");
    if (!by || !dot) return;
    const all = dots(dot.closest("figure"));
    all[(all.indexOf(dot) + by + all.length) % all.length].focus();
    event.preventDefault();
  });

  // The rule of onnxprof/compare/systems.py; which facts are compared, and when, comes as data.
  const { keys, values, runs, none, only } = past.facts;
  const factsOf = (run) => run.facts ?? new Map(
    runs[data.runs.indexOf(run)].map((place, i) => [keys[i], place]).filter(([, place]) => place >= 0)
      .map(([key, place]) => [key, values[place]]));
  const differences = (a, b) => {
    const [ours, theirs] = [factsOf(a), factsOf(b)];
    const tells = (key) => !only[key] || (ours.has(key) && theirs.has(key)
      && only[key].every((same) => ours.get(same) === theirs.get(same)));
    return [...new Set([...ours.keys(), ...theirs.keys()])].filter(tells)
      .map((key) => [key, ours.get(key) ?? none, theirs.get(key) ?? none])
      .filter(([, mine, its]) => mine !== its);
  };
  const named = (run) => {
    const { short } = data.systems[run.sys];
    return `${short}, batch ${run.batch}, ${run.when ?? run.made.replace("T", " ").replace("Z", "")}`;
  };
  const showDiffering = () => {
    if (!at("differs")) return;
    const [a, b] = [current(), other()];
    at("differs").hidden = !b;
    if (!b) return;
    const found = differences(a, b);
    at("differs-count").textContent = found.length
      ? `${found.length} fact${found.length === 1 ? "" : "s"} of settings, software and machine differ`
      : "No known fact of settings, software or machine differs";
    at("differs-a").textContent = named(a);
    at("differs-b").textContent = named(b);
    at("differs-table").tBodies[0].replaceChildren(...found.map(([key, mine, its]) => {
      const head = el("th", "", key);
      head.scope = "row";
      return el("tr", "", head, el("td", "l why", mine), el("td", "l why", its));
    }));
  };

  // What there is of the newest run alone; a failed one has no layers anywhere.
  const showPast = () => {
    const run = current();
    at("past").hidden = !run.stamp;
    if (!run.stamp) return;
    at("past-when").textContent = run.when;
    at("past-newest").href = `#${spelled(run.of)}`;
    at("past-layers").hidden = Boolean(run.fail);
    at("past-created").textContent = run.made;
  };

  const show = () => { whenShown(); showPast(); showStrip(); showDiffering(); };
  document.addEventListener("onnxprof:shown", show);
  document.addEventListener("onnxprof:read", show);
  window.addEventListener("hashchange", () => { say(""); showDiffering(); });
  again(find);
  document.dispatchEvent(new Event("onnxprof:read"));
})();
