// The charts of a simulation: those of the dashboard, over virtual time, over shares of the tasks, and over costs.

import { Chart, style } from "./charts.js";
import { el } from "./dom.js";
import { count, NONE, rate, seconds } from "./format.js";

// In seconds, not minutes, as in the table.
const wait = (value) => (value == null || value < 1 ? seconds(value) : `${count(value)} s`);
const FORMATS = { count, rate, seconds: wait };
const LEAST = { count: 1, rate: 0.01, seconds: 0.01 };
const SHARES = [[Math.log10(2), "p50"], [1, "p90"], [2, "p99"], [3, "p99.9"]];
const TIMES = (value) => `${Number(value.toFixed(2))}x`;

// tasker's own line is wide and lies below the others, which are thin and have gaps: so equal lines are all seen.
export const LINES = {
  oracle: { color: "--grey", fill: true, width: 0.5 },
  tasker: { color: "--green", width: 3.5 },
  base: { color: "--grey", dash: "long" },
  max: { color: "--blue", dash: "dash" },
  go: { color: "--orange", dash: "dot", width: 2 },
  kpa: { color: "--purple", dash: "fine", width: 2 },
  hpa: { color: "--red", dash: "chain" },
};

// How the horizontal axis reads, by the kind of the chart.
const AXES = {
  time: () => ({ time: false, tick: (at) => `${count(at)} s`, at: (at) => `at ${wait(at)}` }),
  shares: () => ({
    time: false,
    more: { splits: () => SHARES.map(([place]) => place) },
    tick: (place) => SHARES.find(([one]) => one === place)?.[1] ?? "",
    at: (place) => `${Number((100 * (1 - 10 ** -place)).toFixed(place < 1 ? 0 : Math.ceil(place)))} % of the tasks`,
  }),
  trade: (chart) => ({ time: false, tick: TIMES, at: (cost) => `${TIMES(cost)} ${chart.times}` }),
};

export class RuleChart extends Chart {
  // given: of the page's data; title: of a rule by its name; duration: of the load, in seconds.
  constructor(given, title, duration) {
    const format = FORMATS[given.unit];
    super({
      title: given.title,
      hint: given.hint,
      format,
      least: LEAST[given.unit],
      axis: AXES[given.kind](given),
      restIs: given.restIs,
      rest: (one) => (given.rest[one.name] == null ? NONE : format(given.rest[one.name])),
      series: Object.keys(given.lines).map((name) => ({
        ...LINES[name],
        name,
        label: title(name),
        paths: given.steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
      })),
    });
    this.element.append(el("p", { class: "why" }, given.note));
    this.given = given;
    this.window = { time: [0, duration], shares: [0, 3.5], trade: [0, 1.15 * Math.max(given.corner?.[0] ?? 0, ...given.at)] }[given.kind];
    this.redraw = () => this.show({ at: given.at, ...given.lines }, this.window, []);
  }

  options() {
    const { log, kind, corner, target } = this.given;
    const found = super.options();
    // What is said of the target and of the corner is to be seen.
    const shown = Math.max(this.least, target ?? 0, (kind === "trade" && corner[2]) || 0);
    const room = log ? 1.6 : 1.08;
    found.scales.y = { range: (u, low, high) => [0, Math.max(shown * (corner ? 1 : room), (high || 0) * room)] };
    if (log) {
      Object.assign(found.scales.y, { distr: 4, asinh: log });
      Object.assign(found.axes[1], { splits: (u, axis, low, high) => powers(log, high), filter: (u, splits) => splits });
    }
    found.hooks.drawAxes = [(u) => this.drawCorner(u)];
    found.cursor.sync = { key: `simulate-${kind}` };
    return found;
  }

  line(one) {
    const found = super.line(one);
    if (this.given.kind !== "trade") return found;
    // Rings that grow, tasker's own filled: so rules with the same figures are all seen.
    const place = this.series.indexOf(one);
    const fill = () => (place ? "transparent" : style(one.color));
    return { ...found, paths: () => null, points: { show: true, size: 7 + 4 * place, width: 2, stroke: () => style(one.color), fill } };
  }

  drawCorner(u) {
    const { corner } = this.given;
    if (!corner) return;
    const [cost, low, high] = corner;
    const [left, right] = [0, cost].map((at) => u.valToPos(at, "x", true));
    const [top, bottom] = [high, low].map((at) => Math.max(u.bbox.top, u.valToPos(at, "y", true)));
    u.ctx.save();
    u.ctx.fillStyle = style("--green-fill");
    u.ctx.fillRect(left, top, right - left, bottom - top);
    u.ctx.restore();
  }

  drawMarks(u) {
    const { target } = this.given;
    if (target == null) return;
    const { ctx, bbox } = u;
    const y = Math.round(u.valToPos(target, "y", true));
    ctx.save();
    ctx.strokeStyle = style("--mark");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.restore();
  }
}

// Zero and powers of ten: from where the scale becomes logarithmic, or from the next one, where that would be too near to zero.
function powers(least, most) {
  const found = [0];
  for (let at = most > 1000 * least ? 10 * least : least; at <= most; at *= 10) found.push(Number(at.toPrecision(3)));
  return found;
}
