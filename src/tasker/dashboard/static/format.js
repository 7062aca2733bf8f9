// Numbers and times, as people read them. Each has its unit.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const NONE = "–";

function short(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 99.95 || Number.isInteger(value)) return whole.format(value);
  return String(Number(value.toFixed(size >= 9.995 ? 1 : 2)));
}

export function count(value) {
  return value == null ? NONE : short(value);
}

// How far a task is: of nobody knows how much, if there is no total.
export function progress(done, total) {
  if (total == null) return `${count(done)} done`;
  return `${count(done)} of ${count(total)}${total ? ` (${Math.round((100 * done) / total)}%)` : ""}`;
}

export function rate(value) {
  return value == null ? NONE : `${short(value)}/s`;
}

export function seconds(value) {
  if (value == null) return NONE;
  if (value === 0) return "0 s";
  if (value < 0.000_999_5) return `${short(value * 1e6)} µs`;
  if (value < 0.999_5) return `${short(value * 1e3)} ms`;
  return value < 60 ? `${short(value)} s` : age(value);
}

// A span that people wait for, without fractions.
export function age(value) {
  if (value == null) return NONE;
  const all = Math.floor(value);
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`;
  if (all < 86400) return `${Math.floor(all / 3600)} h ${Math.floor((all % 3600) / 60)} min`;
  return `${Math.floor(all / 86400)} d ${Math.floor((all % 86400) / 3600)} h`;
}

export function bytes(value) {
  if (value == null) return NONE;
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (value >= size) return `${short(value / size)} ${unit}`;
  }
  return `${value} B`;
}

export function share(part, all) {
  if (!all) return NONE;
  const value = (100 * part) / all;
  return value > 0 && value < 0.01 ? "< 0.01 %" : `${short(value)} %`;
}

export function clock(at) {
  return clockFormat.format(new Date(at * 1000));
}

export function plural(number, word) {
  return `${whole.format(number)} ${word}${number === 1 ? "" : "s"}`;
}
