// The table of workers, and the stack of one of them.

import { $, announce, el, keyed, mark, text } from "./dom.js";
import { age, bytes, count, plural, progress, seconds } from "./format.js";

const COLUMNS = ["Worker", "State", "Task", "Running for", "Tasks served", "Resource age", "Memory"];
const NUMERIC = 3;

export class Workers {
  constructor() {
    this.body = el("tbody");
    this.empty = el("p", { class: "empty" }, "No workers at present.");
    this.more = el("p", { class: "empty", hidden: true });
    const heads = COLUMNS.map((name, index) => el("th", { scope: "col", class: index >= NUMERIC ? "number" : "" }, name));
    this.table = el("table", { class: "workers" }, el("thead", {}, el("tr", {}, ...heads)), this.body);
    this.scroll = el("div", { class: "scroll", role: "region", "aria-label": "Workers, a table", tabindex: "0" }, this.table);
    this.element = el("section", { class: "card wide", "aria-label": "Workers" }, el("h3", {}, "Workers ", el("span", { class: "hint" }, "choose one to see its stack")), this.scroll, this.empty, this.more);
  }

  show(manager, index) {
    const { workers } = manager;
    announce(this.empty, workers.length === 0);
    announce(this.scroll, workers.length > 0);
    announce(this.more, manager.more_workers > 0);
    text(this.more, `and ${plural(manager.more_workers, "more worker")}`);
    mark(this.table, "memory", String(workers.some((one) => one.memory != null)));
    keyed(this.body, workers, (one) => `${index}/${one.slot}/${one.name}`, (one) => this.row(one, index), fill);
  }

  row(one, index) {
    const open = () => showStack(index, one.name);
    const name = el("button", { type: "button", class: "link", onclick: open }, one.name);
    const cells = COLUMNS.slice(1).map((_, at) => el("td", { class: at + 1 >= NUMERIC ? "number" : "" }));
    cells[0].append(el("span", { class: "state" }));
    cells[1].append(el("span", { class: "task" }), el("span", { class: "arguments" }));
    return el("tr", {}, el("th", { scope: "row" }, name), ...cells);
  }
}

function fill(row, one) {
  const [, state, task, seconds_, served, old, memory] = row.children;
  mark(state.firstChild, "state", one.state === "ready" && one.task ? "busy" : one.state);
  text(state.firstChild, [one.state === "ready" ? (one.task ? "busy" : "idle") : one.state, ...one.flags].join(", "));
  const attempt = one.attempt > 1 ? ` (attempt ${one.attempt})` : "";
  text(task.firstChild, (one.task ?? "") + attempt + (one.progress ? `, ${progress(...one.progress)}` : ""));
  text(task.lastChild, one.arguments ? `(${one.arguments})` : "");
  text(seconds_, one.seconds == null ? "–" : seconds(one.seconds));
  text(served, count(one.served));
  text(old, age(one.age));
  text(memory, bytes(one.memory));
}

async function showStack(manager, worker) {
  const dialog = $("stack");
  text($("stack-title"), worker);
  text($("stack-note"), "Asking…");
  text($("stack-text"), "");
  if (!dialog.open) dialog.showModal();
  const load = async () => {
    try {
      const answer = await fetch(`api/stack?${new URLSearchParams({ manager, worker })}`, { signal: AbortSignal.timeout(15_000) });
      const value = await answer.json();
      text($("stack-note"), value.error || (value.stack ? `At ${new Date().toLocaleTimeString("en-GB")}, the innermost call last:` : "It runs no task or hook at present, or its place is not known."));
      text($("stack-text"), value.stack || "");
    } catch (error) {
      text($("stack-note"), `No answer: ${error.message}`);
    }
    $("stack-text").hidden = !$("stack-text").textContent;
  };
  $("stack-again").onclick = load;
  $("stack-close").onclick = () => dialog.close();
  await load();
}
