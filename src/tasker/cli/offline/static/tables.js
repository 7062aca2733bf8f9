// Cards and tables.

import { el } from "./dom.js";

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
