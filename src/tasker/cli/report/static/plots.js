// The charts of a report: those of the dashboard, over the time of the run and over durations.

import { Chart, style } from "./charts.js";
import { clock, count, NONE, plural, rate, seconds } from "./format.js";

const DAY = 86_400;
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
export const momentFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });

// The axis of time. pauses: [[begin, end, removed]], what it leaves out; all in seconds.
export class TimeAxis {
  constructor(pauses, first, last) {
    this.pauses = pauses;
    this.time = true;
    this.days = last - first > DAY;
    this.tick = (place, step) => this.label(place, step);
    this.at = (place) => this.moment(place);
  }

  wall(place) {
    const passed = this.pauses.findLast(([, end, removed]) => place >= end - removed);
    return passed ? place + passed[2] : place;
  }

  moment(place) {
    const at = this.wall(place);
    return this.days ? `${dayFormat.format(new Date(at * 1000))}, ${clock(at)}` : clock(at);
  }

  label(place, step) {
    const at = this.wall(place);
    if (step >= DAY) return dayFormat.format(new Date(at * 1000));
    if (step < 1) return `${clock(at)}${(at % 1).toFixed(3).slice(1)}`;
    return step >= 60 && !this.pauses.length ? clock(at).slice(0, 5) : clock(at);
  }

  // Where each pause is.
  get cuts() {
    return this.pauses.map(([begin, end, removed]) => ({ place: end - removed, words: `${seconds(end - begin)} without an item` }));
  }
}

export class TimeChart extends Chart {
  constructor(options) {
    super({ ...options, restIs: "in all", rest: (one) => options.inAll[one.name] ?? NONE });
  }

  showIn(steps, window) {
    this.show(steps, window, []);
  }

  drawMarks(u) {
    drawCuts(u, this.axis.cuts);
  }
}

export function drawCuts(u, cuts) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.fillStyle = style("--grid");
  for (const { place } of cuts) {
    const x = Math.round(u.valToPos(place, "x", true));
    ctx.fillRect(x - 3 * devicePixelRatio, bbox.top, 6 * devicePixelRatio, bbox.height);
  }
  ctx.restore();
}

// Bars of a distribution: the axis is that of their numbers, of which it shows the durations.
export class DistributionChart extends Chart {
  constructor({ title, hint, found, color }) {
    const { bars } = found;
    super({
      title,
      hint,
      format: (value) => (value == null ? NONE : plural(value, "item")),
      ticks: count,
      least: 1,
      restIs: "in all",
      rest: () => (found.count ? `p50 ${seconds(found.p50)} · p95 ${seconds(found.p95)} · p99 ${seconds(found.p99)} · at most ${seconds(found.greatest)}` : NONE),
      series: [{ name: "items", label: plural(found.count, "item"), color, fill: true, paths: uPlot.paths.bars({ size: [0.92, Infinity] }) }],
      axis: {
        time: false,
        more: { incrs: [1, 2, 4, 8, 16] },
        tick: (place) => (bars[Math.round(place)] ? seconds(bars[Math.round(place)][0]) : ""),
        at: (place) => (bars[place] ? `${place ? `${seconds(bars[place][0])} to` : "under"} ${seconds(bars[place][1])}` : ""),
      },
    });
    this.found = found;
  }

  showBars() {
    const { bars } = this.found;
    this.show({ at: bars.map((_, place) => place), items: bars.map(([, , number]) => number) }, [-0.6, Math.max(bars.length, 8) - 0.4], []);
  }

  drawMarks(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = style("--mark");
    ctx.lineWidth = devicePixelRatio;
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    let free = -Infinity;
    for (const name of ["p50", "p95", "p99"]) {
      if (!this.found.count) break;
      const x = Math.round(u.valToPos(barOf(this.found.bars, this.found[name]), "x", true));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      if (x > free) ctx.fillText(name, x + 3 * devicePixelRatio, bbox.top + 9 * devicePixelRatio);
      free = x + 26 * devicePixelRatio;
    }
    ctx.restore();
  }
}

function barOf(bars, value) {
  const found = bars.findIndex(([, end]) => value < end);
  return found < 0 ? bars.length - 1 : found;
}

const percentiles = (kind) => [
  { name: `${kind}50`, label: "p50", color: "--blue" },
  { name: `${kind}95`, label: "p95", color: "--orange", dash: "dash" },
  { name: `${kind}99`, label: "p99", color: "--red", dash: "dot" },
];

export function timeCharts({ steps, totals, wait, execution, seconds: length }, axis) {
  const step = `in steps of ${seconds(steps.step)}`;
  const busy = execution.total / length;
  return [
    new TimeChart({
      title: "Throughput", hint: `items a second, ${step}`, format: rate, least: 0.01, axis,
      inAll: { done: length ? rate(totals.done / length) : NONE, failed: length ? rate(totals.failed / length) : NONE },
      series: [
        { name: "done", label: "done", color: "--green", fill: true },
        { name: "failed", label: "failed", color: "--red", width: 2 },
      ],
    }),
    new TimeChart({
      title: "Busy workers", hint: "on average of each step", format: count, least: 1, axis,
      inAll: { busy: length ? count(busy) : NONE },
      series: [{ name: "busy", label: "busy", color: "--blue", fill: true, step: false }],
    }),
    new TimeChart({ title: "Wait", hint: "before the last attempt", format: seconds, least: 0.0001, axis, inAll: inAll("wait", wait), series: percentiles("wait") }),
    new TimeChart({ title: "Execution", hint: "of the last attempt", format: seconds, least: 0.0001, axis, inAll: inAll("run", execution), series: percentiles("run") }),
  ];
}

const inAll = (kind, found) => ({ [`${kind}50`]: seconds(found.p50), [`${kind}95`]: seconds(found.p95), [`${kind}99`]: seconds(found.p99) });
