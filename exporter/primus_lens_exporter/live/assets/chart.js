// SPDX-License-Identifier: Apache-2.0
// The chart of one key: a line for each rank, a legend with the values under the cursor, keys.

import { align, summary } from "./chartdata.js";
import { fillTable } from "./charttable.js";
import { described, number, place } from "./chartwords.js";
import { attribute, keyed, shown, stamp, text } from "./dom.js";
import { isolated } from "./format.js";
import { lineStyle, options } from "./plot.js";

const MOVES = new Map([
  ["ArrowLeft", -1],
  ["ArrowRight", 1],
  ["PageUp", -10],
  ["PageDown", 10],
  ["Home", -Infinity],
  ["End", Infinity],
]);
const ZOOMS = new Map([
  ["+", "in"],
  ["=", "in"],
  ["-", "out"],
  ["[", "back"],
  ["]", "on"],
  ["0", "reset"],
  ["Escape", "reset"],
]);

export class Chart {
  #plot = null; // uPlot's
  #made = ""; // what it was made for
  #aligned = { data: [[]], words: [] };
  #now = null; // what is drawn: {names, axis, log, zoom, extent}
  #actions;

  /** `actions`: zoom([low, high] or null), move(how), close(). */
  constructor(key, actions) {
    this.key = key;
    this.#actions = actions;
    this.parts = stamp("t-chart");
    const { root, name, close, plot, details, region } = this.parts;
    this.root = root;
    text(name, key);
    close.setAttribute("aria-label", `Close the chart of ${isolated(key)}`);
    region.setAttribute("aria-label", `Newest values of ${isolated(key)}`);
    close.addEventListener("click", () => actions.close());
    plot.addEventListener("keydown", (event) => this.#pressed(event));
    details.addEventListener("toggle", () => this.#table());
    new ResizeObserver(() => this.#fit()).observe(plot);
  }

  /** Compute what there is to draw; returns the first and last x, or null. */
  prepare(courses, { axis, log }) {
    const noSteps =
      axis === "step" && !courses.some((course) => course?.step.some((at) => at !== null));
    const over = noSteps ? "time" : axis;
    const first = align(courses, over, log);
    const linear = log && summary(first).low === null; // nothing to be seen on a logarithmic axis
    this.#aligned = linear ? align(courses, over, false) : first;
    this.#now = { axis: over, log: log && !linear, noSteps, linear };
    const xs = this.#aligned.data[0];
    return xs.length && !noSteps ? [xs[0], xs.at(-1)] : null;
  }

  /** Draw it; `extent` is that of all charts. */
  draw({ names, zoom, extent, truncated }) {
    this.#now = { ...this.#now, names, zoom, extent };
    const { axis, log } = this.#now;
    const scheme = matchMedia("(prefers-color-scheme: dark)").matches;
    const made = JSON.stringify([names, axis, log, scheme]);
    if (made === this.#made) this.#plot.setData(this.#aligned.data);
    else this.#make(made);
    this.#describe(truncated);
    this.cursorMoved();
    if (this.parts.details.open) this.#table();
  }

  destroy() {
    this.#plot?.destroy();
    this.root.remove();
  }

  // What plot.js asks and tells.

  aligned() {
    return this.#aligned;
  }

  range() {
    const { zoom, extent, noSteps } = this.#now;
    const xs = this.#aligned.data[0];
    const own = xs.length ? [xs[0], xs.at(-1)] : [0, 1];
    const [low, high] = noSteps ? own : (zoom ?? extent ?? own);
    return low < high ? [low, high] : [low - 0.5, high + 0.5];
  }

  zoom(ends) {
    this.#actions.zoom(ends);
  }

  cursorMoved() {
    if (this.#plot === null) return;
    const { names, axis } = this.#now;
    const index = this.#plot.cursor.idx;
    const xs = this.#aligned.data[0];
    text(this.parts.at, index === null || index === undefined ? "newest" : place(xs[index], axis));
    const rows = names.map((name, series) => ({ name, series }));
    const make = () => stamp("t-legend");
    keyed(
      this.parts.legend,
      rows,
      ({ name }) => name,
      make,
      (parts, { name, series }) => {
        const { stroke, dash } = lineStyle(series);
        parts.swatch.style.borderTop = `2px ${dash.length ? "dashed" : "solid"} ${stroke}`;
        text(parts.name, name);
        text(parts.value, this.#shown(series, this.#plot.cursor.idxs?.[series + 1] ?? null));
      },
    );
  }

  #make(made) {
    this.#plot?.destroy();
    const { names, axis, log } = this.#now;
    const size = this.#size();
    const given = options({ ...size, names, axis, log, chart: this });
    this.#plot = new globalThis.uPlot(given, this.#aligned.data, this.parts.plot);
    this.parts.plot.uplot = this.#plot; // for who looks at the page from outside
    this.#made = made;
  }

  #size() {
    const width = Math.max(200, this.parts.plot.clientWidth);
    return { width, height: width < 500 ? 210 : 280 };
  }

  #fit() {
    const size = this.#size();
    if (this.#plot && size.width !== this.#plot.width) this.#plot.setSize(size);
  }

  /** What the legend says of a rank: its value under the cursor, or its newest. */
  #shown(series, index) {
    const { data, words } = this.#aligned;
    const ys = data[series + 1];
    const i = index ?? ys.findLastIndex((y) => y !== undefined);
    return words[series].get(i) ?? number(ys[i]);
  }

  #describe(truncated) {
    const { label, notes } = described(this.key, this.#aligned, this.#now, truncated);
    attribute(this.parts.plot, "aria-label", label);
    shown(this.parts.note, notes.length > 0);
    text(this.parts.note, notes.join(" "));
  }

  #table() {
    if (this.#now !== null) fillTable(this.parts, this.#aligned, this.#now);
  }

  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (MOVES.has(event.key)) this.#step(MOVES.get(event.key));
    else if (ZOOMS.has(event.key)) this.#actions.move(ZOOMS.get(event.key));
    else return;
    event.preventDefault();
  }

  /** Moves the cursor by so many points, within what is seen. */
  #step(by) {
    const u = this.#plot;
    const xs = this.#aligned.data[0];
    if (u === null || xs.length === 0) return;
    const [low, high] = this.range();
    const seen = [xs.findIndex((x) => x >= low), xs.findLastIndex((x) => x <= high)];
    const to = Math.min(seen[1], Math.max(seen[0], (u.cursor.idx ?? seen[1] + 1) + by));
    u.setCursor({ left: u.valToPos(xs[to], "x"), top: u.bbox.height / 2 / devicePixelRatio });
  }
}
