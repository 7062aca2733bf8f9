// The page: one manager in detail, and all of them as cards if there are several.

import { makeCharts } from "./chartset.js";
import { Connection, post } from "./connection.js";
import { Controls } from "./controls.js";
import { $, announce, el, keyed, mark, text } from "./dom.js";
import { clock, count, plural, rate } from "./format.js";
import { Decisions, Failures, Notables } from "./panels.js";
import { latest, Store } from "./store.js";
import { startTheme } from "./theme.js";
import { Notices, standing, Tiles } from "./tiles.js";
import { Workers } from "./workers.js";

const RANGES = [["2 min", 120, 0], ["10 min", 600, 0], ["1 hour", 3600, 1]];

const store = new Store();
let chosen = 0;
let range = RANGES[0];
let view = null;

class View {
  constructor(control) {
    this.name = el("h2");
    this.state = el("span", { class: "pill" });
    this.tiles = new Tiles();
    this.notices = new Notices();
    this.charts = makeCharts();
    this.workers = new Workers();
    this.panels = [new Failures(), new Decisions(), new Notables()];
    this.controls = control ? new Controls() : null;
    $("view").replaceChildren(
      el("div", { class: "heading" }, this.name, this.state),
      this.notices.element,
      this.tiles.element,
      ...(this.controls ? [this.controls.element] : []),
      el("div", { class: "charts" }, ...this.charts.map((one) => one.element), this.panels[1].element),
      this.workers.element,
      el("div", { class: "panels" }, this.panels[0].element, this.panels[2].element),
    );
    for (const chart of this.charts) chart.redraw = () => this.draw();
  }

  show() {
    const manager = store.managers[chosen];
    text(this.name, manager.name);
    showStanding(this.state, manager);
    this.notices.show(manager);
    this.tiles.show(manager);
    this.controls?.show(manager, chosen);
    this.workers.show(manager, chosen);
    for (const panel of this.panels) panel.show(manager, chosen, store.now);
    this.draw();
    document.title = `${manager.name}: ${rate(latest(manager.history[0], "completions"))} – tasker`;
  }

  draw() {
    const manager = store.managers[chosen];
    const [, length, step] = range;
    for (const chart of this.charts) chart.show(manager.history[step], [store.now - length, store.now], manager.decisions);
  }
}

function showStanding(pill, manager) {
  const [tone, words] = standing(manager);
  text(pill, words);
  mark(pill, "tone", tone);
}

function showCards() {
  announce($("managers"), store.managers.length > 1);
  keyed(
    $("managers"), store.managers.map((manager, index) => ({ manager, index })), ({ index }) => index,
    ({ index }) => el("button", { type: "button", class: "card", onclick: () => choose(index) }, el("strong"), el("span", { class: "pill" }), el("span", { class: "note" })),
    (card, { manager, index }) => {
      const [name, state, note] = card.children;
      card.setAttribute("aria-pressed", String(index === chosen));
      text(name, manager.name);
      showStanding(state, manager);
      text(note, `${rate(latest(manager.history[0], "completions"))} · ${count(manager.stats.queued_tasks + manager.stats.priority_tasks)} queued · ${plural(manager.stats.active_workers, "worker")} · ${count(manager.totals.failed)} failed`);
    },
  );
}

function choose(index) {
  chosen = index;
  show();
}

function show() {
  if (!view) return;
  chosen = Math.min(chosen, store.managers.length - 1);
  showCards();
  view.show();
}

function showRanges() {
  for (const one of RANGES) {
    const button = el("button", { type: "button", "aria-pressed": String(one === range) }, one[0]);
    button.addEventListener("click", () => {
      range = one;
      for (const other of $("ranges").children) other.setAttribute("aria-pressed", String(other === button));
      view?.draw();
    });
    $("ranges").append(button);
  }
}

const STATES = {
  connecting: () => ["info", "Connecting…"],
  live: () => ["good", "Live"],
  lost: () => ["bad", "Disconnected"],
  locked: () => ["info", "Locked"],
  refused: () => ["bad", "Refused"],
};

function setState(state, detail) {
  const [tone, words] = STATES[state]();
  if (state === "connecting" && document.documentElement.dataset.connection === "lost") return; // it still is
  document.documentElement.dataset.connection = state;
  text($("status"), words);
  mark($("status"), "tone", tone);
  announce($("gate"), state === "locked");
  announce($("banner"), state === "lost" || state === "refused");
  announce($("retry"), state === "lost");
  announce($("loading"), !view && (state === "connecting" || state === "live"));
  if (state === "lost") {
    const seen = store.now ? ` The last numbers are of ${clock(store.now)}.` : "";
    text($("banner-text"), `No connection to the server.${seen} Trying again every few seconds.`);
  } else if (state === "refused") text($("banner-text"), detail);
  if (state === "locked") {
    $("view").hidden = true;
    $("token").focus();
  } else if (view) $("view").hidden = false;
}

const connection = new Connection({
  hello(data, session) {
    store.hello(data);
    if (!view) view = new View(session.control);
    $("loading").hidden = true;
    $("view").hidden = false;
    show();
  },
  tick(data) {
    store.tick(data);
    show();
  },
  state: setState,
});

async function exchange(token) {
  text($("gate-error"), "");
  try {
    await post("api/session", { token });
    $("token").value = "";
    await connection.open();
  } catch (error) {
    text($("gate-error"), error.message);
  }
}

function start() {
  showRanges();
  startTheme(() => view?.charts.forEach((one) => one.repaint()));
  $("retry").addEventListener("click", () => connection.open());
  $("gate-form").addEventListener("submit", (event) => {
    event.preventDefault();
    exchange($("token").value);
  });
  // Also where the page is open already: then only the fragment of the address changes.
  addEventListener("hashchange", takeToken);
  if (!takeToken()) connection.open();
}

function takeToken() {
  const given = location.hash.match(/^#token=(.+)$/);
  if (!given) return false;
  // At once: neither the history nor a copied address keeps it.
  history.replaceState(null, "", location.pathname + location.search);
  exchange(decodeURIComponent(given[1])).then(() => $("gate-error").textContent && connection.open());
  return true;
}

start();
