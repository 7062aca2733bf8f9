// Items and failures of a report.

import { el } from "./dom.js";
import { count, NONE, plural, seconds } from "./format.js";
import { table } from "./tables.js";

// when: of a moment in seconds since the epoch.
export function itemTable(title, rows, when) {
  return table(title, [
    { name: "Item", value: (row) => String(row.index) },
    { name: "Input", value: (row) => row.input, code: true },
    { name: "Outcome", value: (row) => el("span", { class: "outcome", "data-done": String(row.done) }, row.done ? "done" : "failed") },
    { name: "Execution", value: (row) => seconds(row.execution), numeric: true },
    { name: "Wait", value: (row) => seconds(row.wait), numeric: true },
    { name: "Attempts", value: (row) => count(row.attempts), numeric: true },
    { name: "Worker", value: (row) => row.worker ?? NONE },
    { name: "Started", value: (row) => (row.started == null ? NONE : when(row.started)) },
  ], rows);
}

export function kinds(list) {
  return el("div", { class: "scroll tall", role: "region", tabindex: "0", "aria-label": "Failures, a list" }, el("div", { class: "groups" }, ...list.map(kind)));
}

function kind(one) {
  const message = one.rest ? "other messages, each of them rare" : one.message || "without a message";
  const numbers = one.count ? [plural(one.count, "item")] : [];
  if (one.retried) numbers.push(`${plural(one.retried, "attempt")} before the last`);
  const items = one.indices.length ? `${one.count > one.indices.length ? "The first ones are items" : "Items"} ${one.indices.join(", ")}.` : "No item has ended with it.";
  return el(
    "details",
    {},
    el("summary", {}, el("span", { class: "group-head" }, el("strong", {}, one.type), el("span", { class: "message" }, message)), el("span", { class: "group-count" }, numbers.join(", "))),
    el("div", { class: "stories" }, el("p", {}, items), ...(one.traceback ? [el("pre", { tabindex: "0", "aria-label": `Traceback of the first ${one.type}` }, one.traceback)] : [])),
  );
}
