// SPDX-License-Identifier: Apache-2.0
// uPlot's options for our charts: colours of the page, axes, marks for what is not finite, names at
// the ends of the lines (so that colour is not all that tells them apart).

import { lone, nearest } from "./chartdata.js";
import { clock, day, number, two } from "./format.js";

export const LINES = 8;
const DASHES = [[], [7, 4]]; // of the first eight lines, and of the next
const LABEL_HEIGHT = 13;
const MOST_MARKS = 400;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** How the line at `index` is drawn, on the page too. */
export function lineStyle(index) {
  return {
    stroke: css(`--line-${(index % LINES) + 1}`),
    dash: DASHES[Math.floor(index / LINES) % 2],
  };
}

/** `chart` gives names, aligned() and range(), and is told of zooms and the cursor. */
export function options({ width, height, names, axis, log, chart }) {
  const font = `12px ${css("--font")}`;
  const line = { stroke: css("--grid"), width: 1 };
  const common = { stroke: css("--muted"), font, grid: line, ticks: { ...line, size: 5 } };
  return {
    width,
    height,
    padding: [10, 46, 0, 0],
    legend: { show: false },
    focus: { alpha: 0.25 },
    cursor: {
      // Charts share the cursor, but each selects on its own.
      sync: {
        key: "charts",
        setSeries: false,
        filters: { pub: (type) => type.startsWith("mousemove") || type === "mouseleave" },
      },
      drag: { x: true, y: false, setScale: false },
      focus: { prox: 24 },
      bind: { dblclick: () => () => chart.zoom(null) },
      dataIdx: (u, series, index) => (series === 0 ? index : nearest(u.data[series], index)),
    },
    scales: { x: { time: axis === "time", range: () => chart.range() }, y: { distr: log ? 3 : 1 } },
    axes: [
      { ...common, values: axis === "time" ? times : numbers, space: 80, size: 32 },
      { ...common, values: numbers, size: room },
    ],
    series: [{}, ...names.map((label, index) => series(label, index))],
    hooks: {
      draw: [(u) => marks(u, chart.aligned().words), (u) => labels(u, names)],
      setSelect: [(u) => selected(u, chart)],
      setCursor: [() => chart.cursorMoved()],
    },
  };
}

function series(label, index) {
  const points = { size: 5, filter: (u, i, show) => (show ? null : lone(u.data[i])) };
  return { label, ...lineStyle(index), width: 1.3, points };
}

function selected(u, chart) {
  const { left, width } = u.select;
  if (width < 3) return;
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  chart.zoom([u.posToVal(left, "x"), u.posToVal(left + width, "x")]);
}

const numbers = (u, splits) => splits.map((x) => (x === null ? "" : number(x)));

/** Ticks of time as 14:05, with seconds or the day where they are closer or wider. */
function times(u, splits, axis, space, step) {
  return splits.map((x) => {
    const at = new Date(x * 1000);
    if (step >= 86400) return day(at);
    const minute = `${two(at.getHours())}:${two(at.getMinutes())}`;
    if (step >= 60) return minute;
    return step >= 1
      ? `${minute}:${two(at.getSeconds())}`
      : `${clock(x)}.${Math.round((x % 1) * 10)}`;
  });
}

/** The width of the y axis, by its longest number. */
function room(u, values) {
  const longest = Math.max(0, ...(values ?? []).map((text) => text.length));
  return 18 + 7 * Math.max(3, longest);
}

/** A cross at the foot for NaN, an arrow at the head or foot for the infinities. */
function marks(u, words) {
  const { ctx, bbox } = u;
  const size = 3.5 * devicePixelRatio;
  ctx.save();
  ctx.lineWidth = 1.5 * devicePixelRatio;
  let drawn = 0;
  words.forEach((odd, index) => {
    ctx.strokeStyle = lineStyle(index).stroke;
    for (const [at, word] of odd) {
      const x = u.valToPos(u.data[0][at], "x", true);
      if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1 || drawn++ > MOST_MARKS) continue;
      const y = word === "Infinity" ? bbox.top + 2 * size : bbox.top + bbox.height - 2 * size;
      ctx.beginPath();
      if (word === "NaN") cross(ctx, x, y, size);
      else arrow(ctx, x, y, word === "Infinity" ? -size : size);
      ctx.stroke();
    }
  });
  ctx.restore();
}

function cross(ctx, x, y, size) {
  ctx.moveTo(x - size, y - size);
  ctx.lineTo(x + size, y + size);
  ctx.moveTo(x - size, y + size);
  ctx.lineTo(x + size, y - size);
}

function arrow(ctx, x, y, size) {
  ctx.moveTo(x - Math.abs(size), y - size);
  ctx.lineTo(x, y + size);
  ctx.lineTo(x + Math.abs(size), y - size);
}

/** The rank's name where its line ends, pushed down where two would overlap. */
function labels(u, names) {
  const { ctx, bbox } = u;
  const height = LABEL_HEIGHT * devicePixelRatio;
  const ends = names.map((name, index) => ({ name, index, y: end(u, index + 1) }));
  const shown = ends.filter(({ y }) => y !== null).sort((a, b) => a.y - b.y);
  const top = bbox.top + height / 2;
  const most = Math.floor(bbox.height / height);
  let least = Math.min(top, bbox.top + bbox.height - shown.length * height);
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px ${css("--font")}`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  shown.slice(0, most).forEach(({ name, index, y }, place) => {
    const room = bbox.top + bbox.height - (shown.length - place - 0.5) * height;
    const at = Math.max(least, Math.min(y, room));
    ctx.fillStyle = lineStyle(index).stroke;
    ctx.fillText(name.slice(0, 6), bbox.left + bbox.width + 6 * devicePixelRatio, at);
    least = at + height;
  });
  ctx.restore();
}

/** Where the last visible value of a line is, in pixels of the canvas; null if there is none. */
function end(u, index) {
  const [xs, ys] = [u.data[0], u.data[index]];
  const { min, max } = u.scales.x;
  for (let i = xs.length - 1; i >= 0; i--) {
    if (xs[i] > max || ys[i] === null || ys[i] === undefined) continue;
    return xs[i] < min ? null : u.valToPos(ys[i], "y", true);
  }
  return null;
}
