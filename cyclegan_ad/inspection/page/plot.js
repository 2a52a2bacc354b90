// The known scores: histograms of normal images above the axis and abnormal ones below it, a tick
// for each image, the zones, the threshold, and the image that is looked at.

import { byId, number, svg } from "./dom.js";
import { model, on, WORDS, zoneOf } from "./model.js";

const HEIGHT = 208;
const MARGIN = { left: 10, right: 10, top: 44, bottom: 24 };
const RUG = 9; // height of the ticks of each class
const BINS = 28;

let axis = null; // { low, high, of, back }: score <-> share of the width, in [0, 1]

// Lay the axis over all known scores and thresholds.
export function layAxis() {
  const { normal, abnormal, axis: kind } = model.facts.known;
  const values = [...normal, ...abnormal].map(([score]) => score);
  values.push(model.saved.lower);
  if (model.saved.upper !== null) values.push(model.saved.upper);
  const log = kind === "log" && Math.min(...values) > 0;
  const to = log ? Math.log10 : (value) => value;
  let low = to(Math.min(...values));
  let high = to(Math.max(...values));
  const room = 0.04 * (high - low) || 0.5;
  low -= room;
  high += room;
  axis = {
    log, low, high,
    of: (value) => Math.min(1, Math.max(0, (to(value > 0 || !log ? value : 1e-300) - low) / (high - low))),
    back: (share) => (log ? 10 ** (low + share * (high - low)) : low + share * (high - low)),
  };
}

export const shareOf = (value) => axis.of(value);
export const valueAt = (share) => axis.back(share);

// Edges of the bins, as shares of the width. The thresholds of the detector lie on edges, so that no
// bar stands on both sides of one.
function edges() {
  const start = axis.of(model.saved.lower);
  const apart = model.saved.upper === null ? 0 : axis.of(model.saved.upper) - start;
  const width = apart > 0.5 / BINS ? apart / Math.round(apart * BINS) : 1 / BINS;
  const first = start - Math.ceil(start / width) * width;
  return Array.from({ length: Math.ceil(1 / width) + 3 }, (_, i) => first + i * width);
}

function binned(pairs, at) {
  const counts = new Array(at.length - 1).fill(0);
  const width = at[1] - at[0];
  for (const [score] of pairs) {
    const bin = Math.floor((axis.of(score) - at[0]) / width + 1e-9);
    counts[Math.min(Math.max(bin, 0), counts.length - 1)] += 1;
  }
  return counts;
}

function niceTicks(wanted) {
  if (axis.log) {
    const ticks = [];
    for (let power = Math.ceil(axis.low); power <= axis.high; power += 1) ticks.push(10 ** power);
    if (ticks.length < 2) {
      for (let power = Math.floor(axis.low); power <= axis.high; power += 1) {
        for (const digit of [2, 5]) {
          const tick = digit * 10 ** power;
          if (Math.log10(tick) >= axis.low && Math.log10(tick) <= axis.high) ticks.push(tick);
        }
      }
    }
    return ticks.sort((a, b) => a - b);
  }
  const rough = (axis.high - axis.low) / wanted;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 5, 10].find((digit) => digit * unit >= rough);
  const ticks = [];
  for (let i = Math.ceil(axis.low / step); i * step <= axis.high; i += 1) ticks.push(i * step);
  return ticks;
}

export function draw() {
  const node = byId("plot");
  const width = node.parentElement.clientWidth;
  if (!width || !axis) return;
  const { normal, abnormal } = model.facts.known;
  const inner = width - MARGIN.left - MARGIN.right;
  const x = (value) => MARGIN.left + axis.of(value) * inner;
  const at = edges();
  const good = binned(normal, at);
  const bad = binned(abnormal, at);
  const most = Math.max(1, ...good, ...bad);
  const body = HEIGHT - MARGIN.top - MARGIN.bottom;
  const both = normal.length > 0 && abnormal.length > 0;
  const middle = both ? MARGIN.top + body / 2 : normal.length ? HEIGHT - MARGIN.bottom - RUG : MARGIN.top + RUG;
  const room = (both ? body / 2 : body - RUG) - RUG - 2;
  const parts = [];

  // Zones.
  const upper = model.upper ?? model.lower;
  const ends = [
    ["pass", MARGIN.left, x(model.lower)],
    ["review", x(model.lower), x(upper)],
    ["reject", x(upper), width - MARGIN.right],
  ];
  for (const [zone, from, to] of ends) {
    if (to - from < 0.5) continue;
    parts.push(svg("rect", { class: `zone ${zone}`, x: from, y: MARGIN.top - 20, width: to - from, height: body + 20 }));
    if (to - from > 22) {
      parts.push(svg("use", { href: `#icon-${zone}`, class: `icon ${zone}`, x: from + 6, y: MARGIN.top - 16, width: 13, height: 13 }));
    }
    if (to - from > 30 + 7 * WORDS[zone].length) {
      parts.push(svg("text", { class: `zone-word ${zone}`, x: from + 23, y: MARGIN.top - 5, text: WORDS[zone] }));
    }
  }

  // Histograms and ticks of the images.
  const bars = (counts, name, sign) => counts.forEach((many, i) => {
    if (!many) return;
    const from = MARGIN.left + Math.max(0, at[i]) * inner;
    const to = MARGIN.left + Math.min(1, at[i + 1]) * inner;
    const height = (many / most) * room;
    parts.push(svg("rect", {
      class: `bar ${name}`, x: from + 0.5, width: Math.max(0.5, to - from - 1), height,
      y: sign > 0 ? middle - RUG - height : middle + RUG,
    }));
  });
  bars(good, "normal", 1);
  bars(bad, "abnormal", -1);
  parts.push(svg("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: middle, y2: middle }));
  const rug = (pairs, name, sign) => {
    for (const [score] of pairs) {
      const wrong = (name === "abnormal") === (score < model.lower);
      parts.push(svg("line", {
        class: `tick ${name}${wrong ? " wrong" : ""}`, x1: x(score), x2: x(score), y1: middle, y2: middle - sign * RUG,
      }));
    }
  };
  rug(normal, "normal", 1);
  rug(abnormal, "abnormal", -1);

  // Axis and names of the classes.
  const ticks = niceTicks(Math.max(2, Math.floor(inner / 90)));
  for (const tick of ticks) {
    parts.push(svg("text", { class: "tick-text", x: x(tick), y: HEIGHT - 8, "text-anchor": "middle", text: number(tick) }));
  }
  const right = width - MARGIN.right - 4;
  if (normal.length) parts.push(svg("text", { class: "class-name normal", x: right, y: middle - RUG - room + 9, "text-anchor": "end", text: `${normal.length} normal` }));
  if (abnormal.length) parts.push(svg("text", { class: "class-name abnormal", x: right, y: middle + RUG + room - 2, "text-anchor": "end", text: `${abnormal.length} abnormal` }));

  // Thresholds, and the image that is looked at. What is no border of a zone begins below their words.
  const line = (value, name, top = MARGIN.top - 20) => svg("line", { class: `threshold ${name}`, x1: x(value), x2: x(value), y1: top, y2: HEIGHT - MARGIN.bottom });
  if (model.lower !== model.saved.lower) parts.push(line(model.saved.lower, "saved", MARGIN.top));
  if (model.upper !== null) parts.push(line(model.upper, "upper"));
  parts.push(line(model.lower, "lower"));
  const image = model.images.get(model.chosen);
  if (image && image.score !== null) {
    const spot = x(image.score);
    const anchor = spot < 60 ? "start" : spot > width - 60 ? "end" : "middle";
    parts.push(svg("path", { class: "marker", d: `M${spot} ${MARGIN.top - 21}l-6 -9h12Z` }));
    parts.push(svg("line", { class: "marker-line", x1: spot, x2: spot, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }));
    const shift = anchor === "start" ? -6 : anchor === "end" ? 6 : 0;
    parts.push(svg("text", { class: "marker-text", x: spot + shift, y: 10, "text-anchor": anchor, text: `this image ${number(image.score)}` }));
  }
  node.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  node.setAttribute("height", HEIGHT);
  node.replaceChildren(...parts);
  describe(image);
}

function describe(image) {
  const { normal, abnormal } = model.facts.known;
  const span = (pairs) => (pairs.length ? `${number(pairs[0][0])} to ${number(pairs.at(-1)[0])}` : "none");
  const here = image && image.score !== null
    ? ` This image: ${number(image.score)}, ${WORDS[zoneOf(image)]}.` : "";
  byId("plot-text").textContent = `Scores of ${normal.length} normal images: ${span(normal)}. Scores of `
    + `${abnormal.length} abnormal images: ${span(abnormal)}. Threshold ${number(model.lower)}.${here}`;
}

export function startPlot() {
  new ResizeObserver(draw).observe(byId("plot").parentElement);
  on("threshold", draw);
  on("chosen", draw);
}
