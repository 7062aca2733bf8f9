// Tables and lists of a report.

import { el } from "./dom.js";
import { count, NONE, plural, seconds } from "./format.js";

export function card(title, hint, ...children) {
  return el("section", { class: "card wide", "aria-label": title }, el("h3", {}, title, " ", el("span", { class: "hint" }, hint)), ...children);
}

// columns: [{name, value(row), numeric, code}]; the first one heads its row.
export function table(title, columns, rows) {
  const kind = (one) => (one.numeric ? "number" : one.code ? "task" : "");
  const heads = columns.map((one) => el("th", { scope: "col", class: one.numeric ? "number" : "" }, one.name));
  const lines = rows.map((row) =>
    el("tr", {}, ...columns.map((one, place) => (place ? el("td", { class: kind(one) }, one.value(row)) : el("th", { scope: "row", class: kind(one) }, one.value(row))))));
  return el(
    "div",
    { class: "scroll tall", role: "region", tabindex: "0", "aria-label": `${title}, a table` },
    el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...lines)),
  );
}

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
