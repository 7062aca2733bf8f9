// One chart: uPlot, with a legend of our own that shows the values at the cursor, or the last ones.

import { el, text } from "./dom.js";
import { clock } from "./format.js";

const HEIGHT = 190;
const DASHES = { solid: [], dash: [7, 4], dot: [2, 4], long: [12, 3], fine: [1, 2], chain: [9, 3, 2, 3] };

// How the horizontal axis reads: its values are seconds since the epoch.
export const CLOCK = { time: true, tick: clockLabel, at: clock };

// A canvas takes no variables: an element that is not shown turns one into the color of the present theme.
const probe = el("span", { hidden: true });
document.body.append(probe);

export function style(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

// Values between two gaps, which no line would show.
function isolated(u, index) {
  const values = u.data[index];
  const found = [];
  for (let at = u.series[0].idxs[0]; at <= u.series[0].idxs[1]; at += 1) {
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) found.push(at);
  }
  return found;
}

export class Chart {
  // series: [{name, label, color, dash, fill, step, paths, stack(history)}]; format: of a value, with its unit.
  // axis: as CLOCK; rest: what the legend shows of a series while the cursor is elsewhere, and what that is called.
  constructor({ title, hint, series, format, ticks, least, marks, axis = CLOCK, rest = null, restIs = "now" }) {
    this.axis = axis;
    this.rest = rest || ((one, history) => format(history[one.name].at(-1)));
    this.restIs = restIs;
    this.series = series;
    this.format = format;
    this.marks = marks;
    this.decisions = [];
    this.hidden = new Set();
    this.plot = null;
    this.summary = el("p", { class: "visually-hidden" });
    this.box = el("div", { class: "plot", "aria-hidden": "true" });
    this.empty = el("p", { class: "empty-plot", hidden: true }, "No values in this time");
    this.when = el("span", { class: "when" });
    this.legend = el("ul", { class: "legend" });
    this.values = series.map((one) => this.entry(one));
    this.why = el("p", { class: "why", hidden: true });
    this.element = el(
      "figure",
      { class: "card chart" },
      el("figcaption", {}, el("h3", {}, title), el("span", { class: "hint" }, hint), this.when),
      this.legend,
      el("div", { class: "plot-frame" }, this.box, this.empty),
      this.why,
      this.summary,
    );
    this.title = title;
    this.ticks = ticks || format;
    this.least = least;
    new ResizeObserver(() => this.resize()).observe(this.box);
  }

  entry(one) {
    const value = el("span", { class: "value" }, "–");
    const swatch = el("span", { class: `swatch ${one.dash || "solid"}`, "data-color": one.color });
    const button = el("button", { type: "button", "aria-pressed": "true", title: `Show or hide ${one.label}` }, swatch, el("span", {}, one.label), value);
    button.addEventListener("click", () => {
      const shown = this.hidden.has(one.name);
      if (shown) this.hidden.delete(one.name);
      else this.hidden.add(one.name);
      button.setAttribute("aria-pressed", String(shown));
      this.plot?.setSeries(this.series.indexOf(one) + 1, { show: shown });
    });
    this.legend.append(el("li", {}, button));
    return value;
  }

  options() {
    const axis = { stroke: () => style("--muted"), grid: { stroke: () => style("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    return {
      width: Math.max(200, this.box.clientWidth),
      height: HEIGHT,
      padding: [10, 26, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: "tasker" }, y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { x: { time: this.axis.time }, y: { range: (u, low, high) => [0, Math.max(this.least, (high || 0) * 1.08)] } },
      axes: [
        { ...axis, ...this.axis.more, size: 26, gap: 4, space: 70, values: (u, at) => at.map((one, index) => this.axis.tick(one, at[index + 1] - one || one - at[index - 1])) },
        { ...axis, size: 62, gap: 6, space: 34, values: (u, at) => at.map((one) => this.ticks(one)) },
      ],
      series: [{}, ...this.series.map((one) => this.line(one))],
      hooks: { setCursor: [() => this.showValues()], draw: [(u) => this.drawMarks(u)] },
    };
  }

  line(one) {
    return {
      label: one.label,
      show: !this.hidden.has(one.name),
      width: one.width || 1.75,
      stroke: () => style(one.color),
      dash: DASHES[one.dash || "solid"],
      fill: one.fill ? () => style(`${one.color}-fill`) : undefined,
      paths: one.paths || (one.step ? uPlot.paths.stepped({ align: -1 }) : undefined),
      points: { show: !one.paths, size: 4, width: 1, filter: isolated, fill: () => style(one.color) },
    };
  }

  // window: [from, to] in seconds since the epoch.
  show(history, window, decisions) {
    this.history = history;
    this.decisions = decisions;
    const data = [history.at, ...this.series.map((one) => one.stack ? one.stack(history) : history[one.name])];
    if (!this.plot) {
      if (!this.box.clientWidth) return;
      this.plot = new uPlot(this.options(), data, this.box);
    }
    this.plot.batch(() => {
      this.plot.setData(data, false);
      this.plot.setScale("x", { min: window[0], max: window[1] });
    });
    this.empty.hidden = this.series.some((one) => history[one.name].some((value, index) => value != null && history.at[index] >= window[0]));
    this.showValues();
  }

  showValues() {
    const history = this.history;
    if (!history) return;
    const under = this.plot?.cursor.idx;
    const parts = this.series.map((one, place) => {
      const value = under == null ? this.rest(one, history) : this.format(history[one.name][under]);
      text(this.values[place], value);
      return `${one.label} ${value}`;
    });
    text(this.when, under == null || history.at[under] == null ? "" : this.axis.at(history.at[under]));
    if (under == null && Date.now() - (this.summarized || 0) > 10_000) {
      this.summarized = Date.now();
      text(this.summary, `${this.title} ${this.restIs}: ${parts.join(", ")}.`);
    }
    if (this.marks) this.showWhy(under);
  }

  showWhy(under) {
    const left = this.plot?.cursor.left;
    let near = null;
    if (under != null && left >= 0) {
      const at = this.plot.posToVal(left, "x");
      const reach = Math.abs(this.plot.posToVal(left + 8, "x") - at);
      near = this.decisions.findLast((one) => Math.abs(one[0] - at) <= reach);
    }
    this.why.hidden = !near;
    if (near) text(this.why, `${clock(near[0])}: ${near[1]} → ${near[2]} workers, ${near[4]}`);
  }

  drawMarks(u) {
    if (!this.marks) return;
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = style("--mark");
    ctx.lineWidth = ratio;
    for (const [at, before, target] of this.decisions) {
      const x = Math.round(u.valToPos(at, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.globalAlpha = 0.35;
      ctx.setLineDash([2 * ratio, 3 * ratio]);
      line(ctx, x, bbox.top, x, bbox.top + bbox.height);
      ctx.globalAlpha = 1;
      triangle(ctx, x, bbox.top, 4 * ratio, target > before);
    }
    ctx.restore();
  }

  resize() {
    if (this.plot && this.box.clientWidth) this.plot.setSize({ width: this.box.clientWidth, height: HEIGHT });
    else if (this.history) this.redraw?.();
  }

  repaint() {
    this.plot?.redraw(false);
  }
}

function clockLabel(at, step) {
  const label = clock(at);
  return step >= 60 ? label.slice(0, 5) : label;
}

function line(ctx, x1, y1, x2, y2) {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

function triangle(ctx, x, top, size, up) {
  const [tip, base] = up ? [top - size, top + size] : [top + size, top - size];
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.moveTo(x, tip);
  ctx.lineTo(x - size, base);
  ctx.lineTo(x + size, base);
  ctx.fill();
}
