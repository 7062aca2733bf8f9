// What the page may do to a manager, where the server allows it.

import { post } from "./connection.js";
import { $, el, text } from "./dom.js";

export class Controls {
  constructor() {
    this.index = 0;
    this.least = bound("Workers at least");
    this.most = bound("at most");
    this.pause = el("button", { type: "button", onclick: () => this.send({ action: this.paused ? "resume" : "pause" }) });
    this.result = el("p", { class: "result", role: "status" });
    const resize = el("form", { class: "resize" }, this.least.label, this.most.label, el("button", { type: "submit" }, "Resize"));
    resize.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send({ action: "resize", worker_count: Number(this.least.input.value), max_worker_count: Number(this.most.input.value) });
    });
    this.element = el(
      "section",
      { class: "card controls", "aria-label": "Control" },
      resize,
      this.pause,
      el("button", { type: "button", onclick: () => this.send({ action: "refresh" }) }, "Refresh resources"),
      el("button", { type: "button", class: "danger", onclick: () => this.stop() }, "Stop…"),
      this.result,
    );
  }

  show(manager, index) {
    if (this.index !== index) text(this.result, "");
    this.index = index;
    this.name = manager.name;
    this.paused = manager.state === "paused";
    text(this.pause, this.paused ? "Resume" : "Pause");
    [this.least, this.most].forEach(({ input }, place) => {
      const value = String(manager.bounds[place]);
      if (input.dataset.seen !== value && document.activeElement !== input) {
        input.dataset.seen = value;
        input.value = value;
      }
    });
    const over = manager.state === "ended" || manager.state === "stopping";
    for (const one of this.element.querySelectorAll("button, input")) one.disabled = over;
  }

  async send(body) {
    text(this.result, "…");
    try {
      await post("api/control", { manager: this.index, ...body });
      text(this.result, `Done: ${body.action}`);
    } catch (error) {
      text(this.result, error.message);
    }
  }

  stop() {
    const dialog = $("confirm");
    text($("confirm-text"), `Stop ${this.name}? It accepts no more tasks, and ends after those that it has accepted.`);
    $("confirm-no").onclick = () => dialog.close();
    $("confirm-yes").onclick = () => {
      dialog.close();
      this.send({ action: "stop" });
    };
    dialog.showModal();
  }
}

function bound(words) {
  const input = el("input", { type: "number", min: "0", step: "1", required: true, inputmode: "numeric" });
  return { input, label: el("label", {}, words, input) };
}
