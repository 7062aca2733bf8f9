// The charts of a manager.

import { Chart } from "./charts.js";
import { count, rate, seconds } from "./format.js";

const sum = (...names) => (history) => history.at.map((_, index) => names.reduce((total, name) => total + (history[name][index] ?? 0), 0));
const percentiles = (kind) => [
  { name: `${kind}50`, label: "p50", color: "--blue" },
  { name: `${kind}95`, label: "p95", color: "--orange", dash: "dash" },
  { name: `${kind}99`, label: "p99", color: "--red", dash: "dot" },
];

export const makeCharts = () => [
  new Chart({
    title: "Throughput", hint: "tasks a second", format: rate, least: 1,
    series: [
      { name: "completions", label: "completed", color: "--green", fill: true },
      { name: "arrivals", label: "arrived", color: "--blue", dash: "dash" },
      { name: "failures", label: "failed", color: "--red", width: 2 },
    ],
  }),
  new Chart({
    title: "Queue", hint: "tasks that wait, and that run", format: count, least: 4,
    series: [
      { name: "low", label: "low", color: "--grey", fill: true, stack: sum("urgent", "normal", "low") },
      { name: "normal", label: "normal", color: "--blue", fill: true, stack: sum("urgent", "normal") },
      { name: "urgent", label: "urgent", color: "--orange", fill: true },
      { name: "running", label: "running", color: "--purple", dash: "dash" },
    ],
  }),
  new Chart({
    title: "Workers", hint: "▲▼ scaling decisions", format: count, least: 4, marks: true,
    series: [
      { name: "starting", label: "starting", color: "--grey", fill: true, step: true, stack: sum("base", "burst", "starting") },
      { name: "burst", label: "burst", color: "--orange", fill: true, step: true, stack: sum("base", "burst") },
      { name: "base", label: "base", color: "--blue", fill: true, step: true },
      { name: "stuck", label: "stuck", color: "--red", width: 2, step: true },
      { name: "lost", label: "lost since the start", color: "--purple", dash: "dot", step: true },
      { name: "target", label: "wanted", color: "--text", dash: "dash", step: true },
    ],
  }),
  new Chart({ title: "Wait", hint: "in the queue", format: seconds, least: 0.0001, series: percentiles("wait") }),
  new Chart({ title: "Execution", hint: "of the last attempt", format: seconds, least: 0.0001, series: percentiles("run") }),
];
