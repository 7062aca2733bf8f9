// The page of a simulation.

import { $, el, mark, text } from "./dom.js";
import { count, plural, seconds } from "./format.js";
import { LINES, RuleChart } from "./plots.js";
import { card, table } from "./tables.js";
import { startTheme } from "./theme.js";

const data = JSON.parse($("data").textContent);
const titles = new Map([["oracle", "oracle"], ...data.rules.map((one) => [one.name, one.title])]);

function swatch(rule) {
  const { color, dash } = LINES[rule];
  return el("span", { class: `swatch ${dash || "solid"}`, "data-color": color });
}

function toned(element, tone) {
  if (tone) mark(element, "tone", tone);
  return element;
}

function tile([name, main, note, tone]) {
  return toned(el("div", { class: "card tile" }, el("dt", {}, name), el("dd", { class: "main" }, main), el("dd", { class: "note" }, note)), tone);
}

function factsList() {
  return el("dl", { class: "facts" }, ...data.facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function comparisonCard() {
  const { titles: heads, rows, words } = data.table;
  const cell = ([value, tone]) => toned(el("span", { class: "judged" }, value), tone);
  const columns = heads.map((name, place) => ({ name, value: ([, cells]) => cell(cells[place]), numeric: true }));
  const first = { name: "Rule", value: ([rule]) => el("span", { class: "rule" }, swatch(rule), titles.get(rule)) };
  return card("Comparison", "the same load under each rule", table("Comparison", [first, ...columns], rows), el("p", { class: "note words" }, words));
}

// Bars are elements, not a canvas: each is a row of text as well.
function costChart({ bars, bound, allowed, note }) {
  const most = 1.05 * Math.max(allowed, ...bars.map(([, spent]) => spent));
  const placed = (element, property, value) => {
    element.style[property] = `${(100 * value) / (most || 1)}%`;
    return element;
  };
  const row = ([rule, spent, cost]) =>
    el("li", {},
      el("span", { class: "rule" }, titles.get(rule)),
      el("span", { class: "track", "aria-hidden": "true" },
        placed(el("span", { class: "bar", "data-color": LINES[rule].color }), "width", spent),
        placed(el("span", { class: "limit" }), "left", bound),
        placed(el("span", { class: "limit allowed" }), "left", allowed)),
      el("span", { class: "amount" }, `${count(Math.round(spent))}`, el("strong", {}, cost)));
  return el("figure", { class: "card chart" }, el("figcaption", {}, el("h3", {}, "Cost"), el("span", { class: "hint" }, "worker-seconds")), el("ul", { class: "costs" }, ...bars.map(row)), el("p", { class: "why" }, note));
}

function rulesCard() {
  const entries = [...data.rules.map((one) => [one.title, one.words]), ...data.notes];
  return card("The rules", "and what is measured", el("dl", { class: "words" }, ...entries.flatMap(([name, words]) => [el("dt", {}, name), el("dd", {}, words)])));
}

function decisionsCard() {
  const all = data.decisions;
  const hint = data.more_decisions ? `the first ${plural(all.length, "line")} of the log` : `${plural(all.length, "line")} of the log`;
  const lines = all.map(([at, words]) => el("li", {}, el("span", { class: "moment" }, seconds(Number(at.toFixed(1)))), el("span", { class: "words" }, words)));
  const list = el("div", { class: "scroll tall", role: "region", tabindex: "0", "aria-label": "Decisions, a list" }, el("ol", { class: "log" }, ...lines));
  return card("What tasker decided, and why", hint, all.length ? list : el("p", { class: "empty" }, "Nothing."));
}

function show() {
  text($("status"), data.status[0]);
  mark($("status"), "tone", data.status[1]);
  const plots = data.charts.map((one) => new RuleChart(one, (name) => titles.get(name), data.duration));
  const cost = data.cost ? [costChart(data.cost)] : [];
  $("view").append(
    el("div", { class: "heading page-heading" }, el("h2", {}, data.name), el("p", { class: "hint" }, data.words)),
    el("ul", { class: "notices" }, toned(el("li", { id: "verdict" }, data.verdict[0]), data.verdict[1])),
    el("dl", { class: "tiles" }, ...data.tiles.map(tile)),
    comparisonCard(),
    el("div", { class: "charts" }, ...plots.map((one) => one.element), ...cost),
    el("div", { class: "panels" }, rulesCard(), el("div", { class: "column" }, card("The pool", "", factsList()), decisionsCard())),
  );
  for (const one of plots) one.redraw();
  startTheme(() => plots.forEach((one) => one.repaint()));
}

show();
