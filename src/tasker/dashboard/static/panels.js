// Failures by group, scaling decisions, and what else has happened.

import { announce, el, keyed, mark, text } from "./dom.js";
import { age, clock, count, plural } from "./format.js";

class Panel {
  constructor(title, nothing, list) {
    this.list = list;
    this.empty = el("p", { class: "empty" }, nothing);
    this.scroll = el("div", { class: "scroll tall", role: "region", tabindex: "0", "aria-label": `${title}, a list` }, list);
    this.element = el("section", { class: "card", "aria-label": title }, el("h3", {}, title), this.scroll, this.empty);
  }

  announce(some) {
    announce(this.empty, !some);
    announce(this.scroll, some);
  }
}

export class Failures extends Panel {
  constructor() {
    super("Failures", "No task has failed.", el("div", { class: "groups" }));
  }

  show(manager, index, now) {
    const { failures } = manager;
    this.announce(failures.length > 0);
    keyed(this.list, failures, (one) => `${index}/${one.type}/${one.message}`, group, (item, one) => fillGroup(item, one, now, manager.dropped));
  }
}

function group(one) {
  const head = el("span", { class: "group-head" }, el("strong", {}, one.type), el("span", { class: "message" }, one.message || "without a message"));
  return el("details", {}, el("summary", {}, head, el("span", { class: "group-count" })), el("div", { class: "stories" }));
}

// dropped: how many events, which may have been failures, came too fast to be seen one by one.
function fillGroup(item, one, now, dropped) {
  const numbers = one.count ? [(dropped ? "at least " : "") + plural(one.count, "task")] : [];
  if (one.retried) numbers.push(`${count(one.retried)} retried`);
  text(item.querySelector(".group-count"), `${numbers.join(", ")} · ${age(Math.max(0, now - one.last))} ago`);
  if (!item.open && item.querySelector(".stories").childElementCount) return;
  keyed(item.querySelector(".stories"), one.stories, (story) => `${story.task}/${story.failed.at(-1)[0]}`, tell);
  if (!one.stories.length) text(item.querySelector(".stories"), "Each of these was tried again.");
}

function tell(story) {
  const tries = story.failed.map(([at, worker, error]) => el("li", {}, el("time", {}, clock(at)), ` ${worker || "no worker"}: `, el("code", {}, error)));
  const missing = story.attempts - story.failed.length;
  const more = missing > 0 && story.failed.length > 1 ? ` (${missing} earlier not shown)` : "";
  return el("section", {}, el("h4", {}, `${story.task}, ${plural(story.attempts, "attempt")}${more}`), el("ol", {}, ...tries));
}

const newestFirst = (list) => list.slice().reverse();

export class Decisions extends Panel {
  constructor() {
    super("Scaling decisions", "The number of workers has not changed.", el("ol", { class: "log" }));
  }

  show(manager, index) {
    this.announce(manager.decisions.length > 0);
    keyed(this.list, newestFirst(manager.decisions), (one) => `${index}/${one[0]}/${one[2]}`, ([at, before, target, cause, why]) =>
      el("li", {}, el("time", {}, clock(at)), el("span", { class: "step" }, `${before} → ${target}`), el("span", { class: "words" }, why, " ", el("span", { class: "hint" }, cause))));
  }
}

export class Notables extends Panel {
  constructor() {
    super("Events", "Nothing unusual has happened.", el("ol", { class: "log" }));
  }

  show(manager, index) {
    this.announce(manager.notables.length > 0);
    keyed(this.list, newestFirst(manager.notables), (one) => `${index}/${one[0]}/${one[2]}`, ([at, tone, words]) => {
      const item = el("li", {}, el("time", {}, clock(at)), el("span", { class: "words" }, words));
      mark(item, "tone", tone);
      return item;
    });
  }
}
