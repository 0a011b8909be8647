// SPDX-License-Identifier: Apache-2.0
// Sparklines, as SVG: they follow the colours of the page by themselves. Only those on the screen
// are drawn; the others remember what they would show.

import { attribute } from "./dom.js";
import { number } from "./format.js";

const NS = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, MARGIN] = [120, 28, 2];
const MOST_MARKS = 60;

const waiting = new WeakMap(); // what is to be drawn
const visible = new WeakSet();
const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) visible.add(target);
      else visible.delete(target);
      if (isIntersecting) draw(target);
    }
  },
  { rootMargin: "200px" },
);

/**
 * Show some lines, each with its values `ys`, oldest first, and when they were, `xs`; without these
 * they are evenly apart. Null and what is not finite is a gap, with a mark at the foot. `what` names
 * them for those who do not see.
 */
export function sparkline(svg, lines, what) {
  if (!svg.hasAttribute("aria-label")) {
    svg.setAttribute("aria-label", what);
    observer.observe(svg);
  }
  waiting.set(svg, { lines, what });
  if (visible.has(svg)) draw(svg);
}

function draw(svg) {
  const { lines, what } = waiting.get(svg) ?? {};
  if (lines === undefined) return;
  waiting.delete(svg);
  const { low, high, newest, gaps } = extent(lines.map((line) => line.ys));
  const across = horizontally(lines);
  const [path, marks] = [child(svg, 0, "line"), child(svg, 1, "gap")];
  attribute(path, "d", lines.map((line) => outline(line, across, low, high)).join(""));
  attribute(marks, "d", lines.map((line) => ticks(line, across)).join(""));
  const range =
    low > high
      ? "no finite value"
      : `from ${number(low)} to ${number(high)}, newest ${number(newest)}`;
  attribute(svg, "aria-label", `${what}: ${range}${gaps ? `; ${gaps} not finite` : ""}`);
}

function child(svg, index, name) {
  if (svg.children[index]) return svg.children[index];
  const path = svg.appendChild(document.createElementNS(NS, "path"));
  path.setAttribute("class", name);
  return path;
}

function extent(columns) {
  const found = { low: Infinity, high: -Infinity, newest: null, gaps: 0 };
  for (const ys of columns) {
    for (const y of ys) {
      if (!isValue(y)) found.gaps++;
      else {
        if (y < found.low) found.low = y;
        if (y > found.high) found.high = y;
        found.newest = y;
      }
    }
  }
  return found;
}

/** Where on the picture a value of a line is: all lines share one stretch of time. */
function horizontally(lines) {
  const ends = lines.filter(({ xs, ys }) => xs && ys.length).map(({ xs }) => [xs[0], xs.at(-1)]);
  const start = Math.min(...ends.map(([first]) => first));
  const width = Math.max(...ends.map(([, last]) => last)) - start;
  return ({ xs, ys }, i) => {
    const share = xs ? (xs[i] - start) / width : i / (ys.length - 1);
    return WIDTH * (share >= 0 ? Math.min(1, share) : 0.5); // a single value is in the middle
  };
}

function outline(line, across, low, high) {
  const scale = high > low ? (HEIGHT - 2 * MARGIN) / (high - low) : 0;
  const base = high > low ? HEIGHT - MARGIN : HEIGHT / 2;
  let path = "";
  let pen = "M";
  for (let i = 0; i < line.ys.length; i++) {
    if (!isValue(line.ys[i])) pen = "M";
    else {
      const y = (base - (line.ys[i] - low) * scale).toFixed(1);
      // A value between two gaps is a line too, or it would not be seen.
      path += `${pen}${across(line, i).toFixed(1)} ${y}${pen === "M" ? "h.6" : ""}`;
      pen = "L";
    }
  }
  return path;
}

function ticks(line, across) {
  let [path, marks] = ["", 0];
  for (let i = 0; i < line.ys.length && marks < MOST_MARKS; i++) {
    if (isValue(line.ys[i])) continue;
    path += `M${across(line, i).toFixed(1)} ${HEIGHT}v-6`;
    marks++;
  }
  return path;
}

const isValue = (y) => y !== null && Number.isFinite(y);
