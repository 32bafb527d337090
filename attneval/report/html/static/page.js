"use strict";
/* What the page can do with a script: order rows, read the curves, choose the metric of the heads. */
document.documentElement.classList.add("js");
const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** A number in percent, as the tables show it: halves go to the even digit there, and up in toFixed. */
function percent(value, digits = 1) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(100 * value), rest = size - Math.floor(size);
  const half = digits === 1 ? rest === 0.25 : rest === 0.5 && Math.floor(size) % 2 === 0;
  const text = (value < 0 ? "-" : "") + (half ? size - rest / 5 : size).toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}
/** A difference in points with its sign. */
const points = (value) => (Number((100 * value).toFixed(1)) > 0 ? "+" : "") + percent(value);

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/* The section that is being read. */
(function sections() {
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.getAttribute("href").slice(1), link]));
  if (!("IntersectionObserver" in window)) return;
  const seen = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) entry.isIntersecting ? seen.add(entry.target.id) : seen.delete(entry.target.id);
    const first = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) id === first ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
  }, { rootMargin: "-50px 0px -55% 0px" });
  for (const id of links.keys()) if ($(id)) observer.observe($(id));
})();

/* Breakdowns: the order of groups within each kind. */
(function breakdowns() {
  const buttons = [...document.querySelectorAll("[data-order]")];
  for (const button of buttons) button.addEventListener("click", () => {
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    const order = button.dataset.order;
    const key = (row) => (order === "given" ? -Number(row.dataset.place) : Number(row.dataset[order]));
    for (const body of document.querySelectorAll("tbody.sorted")) {
      const rows = [...body.querySelectorAll("tr[data-place]")];
      rows.sort((a, b) => key(b) - key(a) || a.dataset.place - b.dataset.place);
      body.append(...rows);
    }
  });
})();

/* Curves: all three read at one threshold, by pointer or keys. */
(function curves() {
  const curve = DATA.curve, box = $("curve-box");
  if (!curve || !box) return;
  const plane = $("curve"), ring = $("curve-ring"), other = $("pr-ring"), said = $("curve-readout");
  const first = said.textContent, last = curve.parameter.length - 1;
  const low = curve.parameter[0], high = curve.parameter[last], log = low > 0 && high / low >= 50;
  const place = (value) => (high <= low ? 0.5 : log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
  const spots = curve.parameter.map(place);
  const height = Number(plane.getAttribute("height"));
  let at = curve.at;
  box.setAttribute("tabindex", "0");
  box.setAttribute("role", "slider");
  box.setAttribute("aria-label", "Threshold");
  box.setAttribute("aria-valuemin", "0");
  box.setAttribute("aria-valuemax", String(last));
  function words() {
    const f1 = percent(curve.f1[at]) + (curve.lo.length ? ` [${percent(curve.lo[at])}, ${percent(curve.hi[at])}]` : "");
    return `${curve.name} = ${Number(curve.parameter[at].toPrecision(3))}: precision ${percent(curve.precision[at])}, recall ${percent(curve.recall[at])}, F1 ${f1} %`;
  }
  function show(quiet) {
    const x = 100 * spots[at] + "%";
    ring.replaceChildren(draw("line", { x1: x, x2: x, y1: 0, y2: height }),
      ...["precision", "recall", "f1"].map((name) => draw("circle", { cx: x, cy: height * (1 - curve[name][at]), r: 4 })));
    if (other) other.replaceChildren(draw("circle", { cx: 100 * curve.recall[at] + "%", cy: height * (1 - curve.precision[at]), r: 7 }));
    box.setAttribute("aria-valuenow", String(at));
    box.setAttribute("aria-valuetext", words());
    if (!quiet) said.textContent = words();
  }
  function clear() {
    at = curve.at;
    show(true);
    ring.replaceChildren();
    if (other) other.replaceChildren();
    said.textContent = first;
  }
  plane.addEventListener("pointermove", (event) => {
    const frame = plane.getBoundingClientRect(), x = (event.clientX - frame.left) / frame.width;
    at = spots.reduce((best, spot, k) => (Math.abs(spot - x) < Math.abs(spots[best] - x) ? k : best), 0);
    show(false);
  });
  plane.addEventListener("pointerleave", () => { if (document.activeElement !== box) clear(); });
  const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return clear();
    if (!(event.key in steps)) return;
    event.preventDefault();
    at = clamp(at + steps[event.key], 0, last);
    show(false);
  });
  box.addEventListener("blur", clear);
  clear();
})();

/* Heads: another metric, another order. */
(function channels() {
  const data = DATA.channels, metric = $("heads-metric"), order = $("heads-order"), heat = $("heat"), ranked = $("ranked");
  if (!data || !metric) return;
  const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);
  const value = (name) => data.cells[name][metric.value][0];
  const colours = (lift, largest) => (0.06 + 0.42 * (largest ? Math.abs(lift) / largest : 0)).toFixed(3);
  const names = Object.keys(data.cells);
  const rows = heat ? [...heat.tBodies[0].rows].filter((row) => !row.classList.contains("mean")) : [];
  const layout = rows.map((row) => ({ label: row.cells[0].textContent, cells: [...row.cells].slice(1, -1).map((cell) => cell.dataset.cell || null) }));
  const heads = heat ? [...heat.tHead.rows[0].cells].slice(1, -1).map((cell) => cell.textContent) : [];

  function fill(cell, name, floor, largest, best, label) {
    cell.className = "";
    cell.removeAttribute("style");
    cell.removeAttribute("title");
    cell.replaceChildren();
    if (!name) return delete cell.dataset.cell;
    cell.dataset.cell = cell.title = name;
    cell.append(make("b", {}, (label ? label + " " : "") + percent(value(name))));
    if (floor !== undefined) {
      const lift = value(name) - floor;
      cell.append(make("i", {}, points(lift)));
      cell.classList.add(lift >= 0 ? "above" : "below");
      cell.style.setProperty("--a", colours(lift, largest));
    }
    if (name === best) cell.classList.add("best");
  }

  function showMap(floor, largest, best) {
    const columnMeans = heads.map((_, k) => mean(layout.map((row) => row.cells[k]).filter(Boolean).map(value)));
    const rowMeans = layout.map((row) => mean(row.cells.filter(Boolean).map(value)));
    const how = order.value, byMean = (means) => (a, b) => means[b] - means[a] || a - b;
    const rowOrder = layout.map((_, k) => k), columnOrder = heads.map((_, k) => k);
    if (how === "layers" || how === "both") rowOrder.sort(byMean(rowMeans));
    if (how === "heads" || how === "both") columnOrder.sort(byMean(columnMeans));
    const within = how === "within";
    [...heat.tHead.rows[0].cells].slice(1, -1).forEach((cell, k) => { cell.textContent = within ? `${k + 1}.` : heads[columnOrder[k]]; });
    rows.forEach((row, place) => {
      const source = layout[rowOrder[place]];
      let own = columnOrder.map((k) => source.cells[k]);
      if (within) own = own.filter(Boolean).sort((a, b) => value(b) - value(a));
      row.cells[0].textContent = source.label;
      columnOrder.forEach((_, k) => fill(row.cells[k + 1], own[k] || null, floor, largest, best, within && own[k] ? heads[source.cells.indexOf(own[k])] : ""));
      row.cells[row.cells.length - 1].textContent = percent(rowMeans[rowOrder[place]]);
    });
    const last = heat.tBodies[0].rows[rows.length];
    columnOrder.forEach((k, place) => { last.cells[place + 1].textContent = within ? "" : percent(columnMeans[k]); });
    last.cells[last.cells.length - 1].textContent = percent(mean(names.map(value)));
  }

  function showRanked(floor) {
    const sorted = [...names].sort((a, b) => value(b) - value(a));
    const shown = sorted.length > 64 ? [...sorted.slice(0, 16), null, ...sorted.slice(-16)] : sorted;
    const ends = sorted.flatMap((name) => data.cells[name][metric.value].slice(0, 3).filter((v) => v !== null));
    if (floor !== undefined) ends.push(floor);
    const low = Math.floor(Math.min(...ends) * 20 + 1e-9) / 20;
    const high = Math.max(Math.ceil(Math.max(...ends) * 20 - 1e-9) / 20, low + 0.05);
    const x = (v) => 100 * clamp((v - low) / (high - low), 0, 1) + "%";
    const all = data.all[metric.value];
    ranked.tBodies[0].replaceChildren(...shown.map((name) => {
      if (!name) return make("tr", { class: "gap" }, make("td", { colspan: 3 }, `⋮ ${sorted.length - 32} more`));
      const [own, a, b, state] = data.cells[name][metric.value];
      const strip = draw("svg", { class: "strip", width: "100%", height: 14, role: "img", "aria-label": `${name} ${percent(own)} %` });
      if (floor !== undefined) strip.append(draw("rect", { class: "band", width: x(floor), height: 14 }), draw("line", { class: "tick floor", x1: x(floor), x2: x(floor), y1: 0, y2: 14 }));
      if (all) strip.append(draw("line", { class: "dash", x1: x(all[0]), x2: x(all[0]), y1: 0, y2: 14 }));
      const mark = draw("g", { class: `pt ${state}` });
      if (a !== null) mark.append(draw("line", { class: "ci-line", x1: x(a), x2: x(b), y1: 7, y2: 7 }));
      if (state === "below") mark.append(draw("svg", { x: x(own), y: 7, overflow: "visible" }, draw("path", { class: "hollow", d: "M0-5.6 5.6 0 0 5.6-5.6 0Z" })));
      else mark.append(draw("circle", { cx: x(own), cy: 7, r: state === "above" || state === "at" ? 4.6 : 3.2, class: state === "at" ? "hollow" : "solid" }));
      strip.append(mark);
      return make("tr", { class: state }, make("th", { scope: "row" }, name), make("td", { class: "plot" }, strip), make("td", { class: "num" }, percent(own)));
    }));
    $("ranked-note").textContent = `axis ${percent(low, 0)} to ${percent(high, 0)} %${floor === undefined ? "" : "; shaded up to the floor"}; dashed: mean of the maps`;
  }

  function show() {
    const floor = data.floors[metric.value];
    const best = names.reduce((top, name) => (value(name) > value(top) ? name : top), names[0]);
    const largest = floor === undefined ? 0 : Math.max(...names.map((name) => Math.abs(value(name) - floor)));
    if (heat) showMap(floor, largest, best);
    showRanked(floor);
    const above = floor === undefined ? "" : `; ${names.filter((name) => value(name) > floor).length} of ${names.length} channels are above the floor of ${percent(floor)} %`;
    const text = `Best: ${best} with ${percent(value(best))} %${above}.`;
    if ($("heads-best")) $("heads-best").textContent = text;
    $("heads-said").textContent = `${data.titles[metric.value]}. ${text}`;
  }
  metric.addEventListener("change", show);
  if (order) order.addEventListener("change", show);
})();
