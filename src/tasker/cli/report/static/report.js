// The page of a finished run.

import { $, el, mark, text } from "./dom.js";
import { age, count, NONE, plural, rate, seconds, share } from "./format.js";
import { GanttChart } from "./gantt.js";
import { DistributionChart, momentFormat, TimeAxis, timeCharts } from "./plots.js";
import { itemTable, kinds } from "./items.js";
import { card, table } from "./tables.js";
import { startTheme } from "./theme.js";

const data = JSON.parse($("data").textContent);
const when = (at) => momentFormat.format(new Date(at * 1000));
const length = (value) => (value == null ? NONE : value < 60 ? seconds(value) : age(value));

function tile(name, main, note, tone = "") {
  const found = el("div", { class: "card tile" }, el("dt", {}, name), el("dd", { class: "main" }, main), el("dd", { class: "note" }, note));
  mark(found, "tone", tone);
  return found;
}

function tiles() {
  const { totals, wait, execution } = data;
  const failed = totals.failed ? "bad" : "";
  const whole = data.gantt.rows.length * data.seconds;
  return el(
    "dl",
    { class: "tiles" },
    tile("Items", count(totals.items), `${count(totals.done)} done, ${plural(totals.retries, "retry").replace("retrys", "retries")}`),
    tile("Failed", count(totals.failed), share(totals.failed, totals.items), failed),
    tile("Time", length(data.seconds), data.seconds ? `${rate((totals.items - totals.untimed - totals.not_started) / data.seconds)} on average` : "not in the lines"),
    tile("Workers", count(totals.workers + (data.gantt.others ? 1 : 0)) + (data.gantt.others ? "+" : ""), whole ? `busy for ${share(execution.total, whole)} of the time` : "seen in the lines"),
    tile("Wait, p95", seconds(wait.p95), `p50 ${seconds(wait.p50)}`),
    tile("Execution, p95", seconds(execution.p95), `p50 ${seconds(execution.p50)}`),
  );
}

function notices() {
  const { totals, pauses, problems, foreign } = data;
  const found = [];
  const add = (tone, words, ...more) => {
    const item = el("li", {}, words, ...more);
    mark(item, "tone", tone);
    found.push(item);
  };
  if (!totals.items) add("info", "There is no result in this file: nothing was run, or nothing had ended when it was read.");
  if (problems.length) {
    const more = foreign > problems.length ? [el("li", {}, `and ${plural(foreign - problems.length, "more line")}`)] : [];
    const words = foreign ? `${plural(foreign, "line")} ${foreign === 1 ? "is no result" : "are no results"} of tasker run, and left out.` : "The file does not end with a whole line: it is still being written, or its run was killed.";
    add("warning", words, el("ul", { class: "problems" }, ...problems.map(([number, reason]) => el("li", {}, `Line ${number}: ${reason}`)), ...more));
  }
  if (totals.untimed) add("warning", `${plural(totals.untimed, "line")} without started_at: an older version of tasker run wrote ${totals.untimed === 1 ? "it" : "them"}. What is drawn over time leaves ${totals.untimed === 1 ? "it" : "them"} out.`);
  if (totals.not_started) add("info", `${plural(totals.not_started, "item")} could not be started, and ${totals.not_started === 1 ? "has" : "have"} no times.`);
  for (const [begin, end] of pauses) add("info", `Nothing ran for ${length(end - begin)}, from ${when(begin)} to ${when(end)}: the charts leave that out.`);
  if (totals.jobs > 1) add("info", `The results were made by ${totals.jobs} versions of the job or of its settings.`);
  return el("ul", { class: "notices" }, ...found);
}

function charts() {
  const found = [];
  let gantt = null;
  if (data.steps.at.length) {
    const axis = new TimeAxis(data.pauses, data.first, data.last);
    const half = data.steps.step / 2;
    const window = [data.steps.at[0] - half, data.steps.at.at(-1) + half];
    for (const one of timeCharts(data, axis)) {
      one.redraw = () => one.showIn(data.steps, window);
      found.push(one);
    }
    if (data.gantt.rows.length) gantt = new GanttChart(data.gantt, axis, window);
  }
  if (data.totals.items) {
    for (const [title, hint, of_, color] of [["Waits", "how many items waited for how long", data.wait, "--orange"], ["Executions", "how many items took how long", data.execution, "--blue"]]) {
      const one = new DistributionChart({ title, hint, found: of_, color });
      one.redraw = () => one.showBars();
      found.push(one);
    }
  }
  return [found, gantt];
}

function workersCard() {
  const { rows, others } = data.gantt;
  const all = others ? [...rows, { ...others, name: "all further workers" }] : rows;
  return card("Workers", "", table("Workers", [
    { name: "Worker", value: (row) => row.name },
    { name: "Items", value: (row) => count(row.items), numeric: true },
    { name: "Failed", value: (row) => count(row.failed), numeric: true },
    { name: "Busy", value: (row) => length(row.busy), numeric: true },
    { name: "Share of the time", value: (row) => (data.seconds && row.name !== "all further workers" ? share(row.busy, data.seconds) : NONE), numeric: true },
    { name: "Mean execution", value: (row) => seconds(row.items ? row.busy / row.items : null), numeric: true },
  ], all));
}

function retriesCard() {
  const words = (number) => (number === 0 ? "not started" : number >= 20 ? "20 or more" : String(number));
  return card("Attempts", `${plural(data.totals.retried, "item")} needed more than one`,
    table("Attempts", [
      { name: "Attempts", value: ([number]) => words(number) },
      { name: "Items", value: ([, items]) => count(items), numeric: true },
      { name: "Share", value: ([, items]) => share(items, data.totals.items), numeric: true },
    ], data.attempts));
}

function show() {
  const { totals } = data;
  text($("status"), totals.items === 0 ? "No items" : totals.failed ? `${count(totals.failed)} failed` : "All done");
  mark($("status"), "tone", totals.items === 0 ? "info" : totals.failed ? "bad" : "good");
  const [plots, gantt] = charts();
  const span = data.first == null ? "" : `${when(data.first)} to ${when(data.last)}; `;
  $("view").append(
    el("div", { class: "heading page-heading" }, el("h2", {}, data.name), el("p", { class: "hint" }, `${span}read ${when(data.made_at)}`)),
    notices(),
    tiles(),
    el("div", { class: "charts" }, ...plots.map((one) => one.element)),
    ...(gantt ? [gantt.element] : []),
    el("div", { class: "panels" },
      card("Failures", data.more_kinds ? `the most frequent kinds of ${data.kinds.length + data.more_kinds}` : "by kind", data.kinds.length ? kinds(data.kinds) : el("p", { class: "empty" }, "No item has failed.")),
      ...(totals.items ? [retriesCard()] : [])),
    ...(data.slowest.length ? [card("Slowest items", "by their last attempt", itemTable("Slowest items", data.slowest, when))] : []),
    ...(data.retried.length ? [card("Most attempts", "", itemTable("Most attempts", data.retried, when))] : []),
    ...(data.gantt.rows.length ? [workersCard()] : []),
  );
  for (const one of plots) one.redraw();
  gantt?.show();
  startTheme(() => [...plots, gantt].forEach((one) => one?.repaint()));
}

show();
