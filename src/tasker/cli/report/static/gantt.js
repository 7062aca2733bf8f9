// What each worker did when: a row for each, with its items; short ones side by side share a box, as pale as they leave it idle.

import { style } from "./charts.js";
import { el, text } from "./dom.js";
import { plural, seconds } from "./format.js";
import { drawCuts } from "./plots.js";

const ROW = 18;
const NAMES = 104;
const HINT = "Point at a box to see what it is.";

export class GanttChart {
  // gantt: {rows: [{name, spans: [[begin, end, busy, items, failed, index]]}]}; window: [begin, end] on the axis.
  constructor(gantt, axis, window) {
    this.rows = gantt.rows;
    this.axis = axis;
    this.window = window;
    this.plot = null;
    this.words = el("p", { class: "when-words", "aria-hidden": "true" }, HINT);
    this.box = el("div", { class: "gantt-plot", role: "img", "aria-label": `What ${plural(this.rows.length, "worker")} did over time. The table of workers has their sums.` });
    this.element = el("section", { class: "card wide", "aria-label": "Workers over time" },
      el("h3", {}, "Workers over time ", el("span", { class: "hint" }, "red: the share that failed; paler: with time between items")),
      this.words,
      el("div", { class: "gantt-frame", role: "region", tabindex: "0", "aria-label": "Workers over time, a chart" }, this.box));
    new ResizeObserver(() => this.resize()).observe(this.box);
  }

  options() {
    const axis = { stroke: () => style("--muted"), ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const rows = this.rows;
    return {
      width: Math.max(240, this.box.clientWidth),
      height: rows.length * ROW + 34,
      padding: [4, 26, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false }, sync: { key: "tasker" } },
      scales: { x: { time: true, range: () => this.window }, y: { dir: -1, range: () => [0, rows.length] } },
      axes: [
        { ...axis, grid: { stroke: () => style("--grid"), width: 1 }, size: 26, gap: 4, space: 90, values: (u, at) => at.map((one, index) => this.axis.tick(one, at[index + 1] - one || one - at[index - 1])) },
        { ...axis, grid: { show: false }, size: NAMES, gap: 6, splits: () => rows.map((_, row) => row + 0.5), values: () => rows.map(({ name }) => shortened(name)) },
      ],
      series: [{}, { show: false }],
      hooks: { draw: [(u) => this.draw(u)], setCursor: [(u) => this.tell(u)] },
    };
  }

  draw(u) {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const colors = [style("--blue"), style("--red")];
    this.rows.forEach(({ spans }, row) => {
      const top = u.valToPos(row, "y", true) + 2 * ratio;
      const height = Math.max(ratio, u.valToPos(row + 1, "y", true) - top - ratio);
      for (const [begin, end, busy, items, failed] of spans) {
        const x = u.valToPos(begin, "x", true);
        const width = Math.max(ratio, u.valToPos(end, "x", true) - x - 0.5 * ratio);
        ctx.globalAlpha = 0.25 + 0.75 * (end > begin ? Math.min(1, busy / (end - begin)) : 1);
        ctx.fillStyle = colors[0];
        ctx.fillRect(x, top, width, height);
        if (!failed) continue;
        const part = height * Math.max(0.35, failed / items);
        ctx.globalAlpha = 1;
        ctx.fillStyle = colors[1];
        ctx.fillRect(x, top + height - part, width, part);
      }
    });
    ctx.restore();
    drawCuts(u, this.axis.cuts);
  }

  tell(u) {
    const { left, top } = u.cursor;
    const row = this.rows[Math.floor(u.posToVal(top, "y"))];
    if (!(left >= 0 && top >= 0) || !row) return text(this.words, HINT);
    const at = u.posToVal(left, "x");
    const reach = Math.abs(u.posToVal(left + 2, "x") - at);
    const under = row.spans.filter(([begin, end]) => at >= begin - reach && at <= end + reach);
    const distance = ([begin, end]) => Math.max(begin - at, at - end, 0);
    const near = under.sort((one, other) => distance(one) - distance(other))[0];
    text(this.words, `${row.name}, ${this.axis.at(at)}: ${near ? told(near) : "nothing"}`);
  }

  show() {
    if (!this.plot && this.box.clientWidth) this.plot = new uPlot(this.options(), [this.window, [null, null]], this.box);
  }

  resize() {
    if (this.plot && this.box.clientWidth) this.plot.setSize({ width: this.box.clientWidth, height: this.rows.length * ROW + 34 });
    else this.show();
  }

  repaint() {
    this.plot?.redraw(false);
  }
}

function told([begin, end, busy, items, failed, index]) {
  if (items === 1) return `item ${index} for ${seconds(busy)}${failed ? ", failed" : ""}`;
  return `${plural(items, "item")} in ${seconds(end - begin)}, busy for ${seconds(busy)} of it${failed ? `, ${failed} failed` : ""}`;
}

function shortened(name) {
  return name.length > 15 ? `…${name.slice(-14)}` : name;
}
