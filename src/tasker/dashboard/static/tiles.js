// The numbers of a manager at a glance, and what people have to know at once.

import { el, keyed, mark, text } from "./dom.js";
import { count, plural, rate, seconds, share } from "./format.js";
import { latest } from "./store.js";

const TILES = [
  ["Completed", (m, h) => rate(latest(h, "completions")), (m, h) => `${count(m.totals.completed)} in total, ${rate(latest(h, "arrivals"))} arrive`],
  ["Failed", (m, h) => rate(latest(h, "failures")), (m) => `${count(m.totals.failed)} in total, ${share(m.totals.failed, m.totals.failed + m.totals.completed)}`, (m, h) => (latest(h, "failures") > 0 ? "bad" : "")],
  ["Queue", (m) => count(m.stats.queued_tasks + m.stats.priority_tasks), (m) => `${count(m.stats.priority_tasks)} urgent, ${count(m.stats.delayed_tasks)} for later`],
  ["Workers", (m) => `${m.stats.active_workers} of ${m.target}`, (m) => `${count(m.stats.running_tasks)} ${m.stats.running_tasks === 1 ? "task runs" : "tasks run"}, ${m.stats.starting_workers} starting`, (m) => (m.stats.stuck_workers ? "bad" : "")],
  ["Wait, p95", (m, h) => seconds(latest(h, "wait95", 10)), (m, h) => `p50 ${seconds(latest(h, "wait50", 10))}`],
  ["Execution, p95", (m, h) => seconds(latest(h, "run95", 10)), (m, h) => `p50 ${seconds(latest(h, "run50", 10))}`],
];

export class Tiles {
  constructor() {
    this.element = el("dl", { class: "tiles" });
    this.parts = TILES.map(([name, value, note, tone]) => {
      const main = el("dd", { class: "main" });
      const small = el("dd", { class: "note" });
      const tile = el("div", { class: "card tile" }, el("dt", {}, name), main, small);
      this.element.append(tile);
      return { tile, main, small, value, note, tone };
    });
  }

  show(manager) {
    const fine = manager.history[0];
    for (const { tile, main, small, value, note, tone } of this.parts) {
      text(main, value(manager, fine));
      text(small, note(manager, fine));
      mark(tile, "tone", tone?.(manager, fine) || "");
    }
  }
}

const TONES = { running: "good", paused: "warning", stopping: "warning", ended: "info", "not started": "info" };

// A manager in two words, and how good they are: where several are on a page, those are all that is seen of most of them.
export function standing({ state, stats }) {
  if (state === "running" && stats.failing_creations) return ["bad", "creations fail"];
  if (state === "running" && stats.stuck_workers) return ["bad", `${count(stats.stuck_workers)} stuck`];
  if (state === "running" && stats.restart_alarm) return ["bad", "many restarts"];
  return [TONES[state], state];
}

function sentence(words) {
  return /[.!?…]$/.test(words) ? words : `${words}.`;
}

function facts({ state, stats, next_creation: next, dropped }) {
  const found = [];
  const add = (tone, key, words) => found.push({ tone, key, words });
  if (state === "not started") add("info", "state", "This manager has not started yet.");
  if (state === "paused") add("warning", "state", "Paused: tasks are accepted and wait, none starts.");
  if (state === "stopping") add("warning", "state", "Stopping: no more tasks are accepted.");
  if (state === "ended") add("info", "state", "This manager has ended. The charts show what it did.");
  if (stats.failing_creations && state !== "ended") {
    const after = next == null ? "" : ` Next try ${next > 0 ? `in ${seconds(next)}` : "now"}.`;
    add("bad", "creations", `Resources can't be made, ${plural(stats.failing_creations, "time")} in a row: ${sentence(stats.creation_error)} The breaker is ${stats.breaker}.${after}`);
  }
  if (stats.stuck_workers) add("bad", "stuck", `${plural(stats.stuck_workers, "worker")} stuck.`);
  if (stats.restart_alarm) add("bad", "restarts", "Workers are replaced more often than restart_intensity says.");
  if (stats.outdated_workers) add("info", "refresh", `Refresh: ${plural(stats.outdated_workers, "worker")} to go.`);
  if (dropped) add("info", "dropped", `${plural(dropped, "event")} came too fast to be shown; the totals count them all.`);
  return found;
}

export class Notices {
  constructor() {
    this.element = el("ul", { class: "notices", "aria-live": "polite" });
  }

  show(manager) {
    keyed(
      this.element, facts(manager), (one) => one.key,
      () => el("li"),
      (item, one) => {
        mark(item, "tone", one.tone);
        text(item, one.words);
      },
    );
  }
}
