// SPDX-License-Identifier: Apache-2.0
// From the courses of some ranks to the columns that uPlot draws. Nothing is lost in silence: what
// has no place in the drawing is counted or named, to be said in words.

import { number } from "./format.js";

const EMPTY = { time: [], step: [], value: [] };

/**
 * `courses`, one for each rank (undefined where it has none), over "step" or "time".
 * Returns
 *   data: [xs, ys, …] with null where a value is not finite, and undefined where a rank has none;
 *   words: for each rank a Map from an index of xs to the word for what is not finite there;
 *   hidden: how many values at or below zero a logarithmic axis leaves out;
 *   unplaced: how many values have no step.
 */
export function align(courses, axis, log) {
  const lost = { hidden: 0, unplaced: 0 };
  const tables = courses.map((course) => column(course ?? EMPTY, axis, log, lost));
  const xs = [...new Set(tables.flatMap((table) => [...table.keys()]))].sort((a, b) => a - b);
  const place = new Map(xs.map((x, i) => [x, i]));
  const words = [];
  const columns = tables.map((table) => {
    const ys = new Array(xs.length).fill(undefined);
    const odd = new Map();
    for (const [x, y] of table) {
      const i = place.get(x);
      ys[i] = Number.isFinite(y) && !(log && y <= 0) ? y : null;
      if (!Number.isFinite(y)) odd.set(i, number(y));
    }
    words.push(odd);
    return ys;
  });
  return { data: [xs, ...columns], words, ...lost };
}

/** One rank's values by x; of what was logged twice at one x, the newest. */
function column(course, axis, log, lost) {
  const at = course[axis];
  const table = new Map();
  for (let i = 0; i < at.length; i++) {
    if (at[i] === null) lost.unplaced++;
    else table.set(at[i], course.value[i]);
    if (log && course.value[i] <= 0) lost.hidden++;
  }
  return table;
}

/** Lowest, highest and newest finite value of all columns, and how many are not finite. */
export function summary({ data, words }) {
  const found = { low: null, high: null, newest: null };
  for (const ys of data.slice(1)) {
    for (const y of ys) {
      if (y === null || y === undefined) continue;
      if (found.low === null || y < found.low) found.low = y;
      if (found.high === null || y > found.high) found.high = y;
    }
    found.newest = ys.findLast((y) => y !== null && y !== undefined) ?? found.newest;
  }
  return { ...found, odd: words.reduce((sum, map) => sum + map.size, 0) };
}

/** The stretch of time in which `courses` were between two steps, with a neighbour on each side. */
export function timesOf(courses, axis, [low, high]) {
  if (axis === "time") return [low, high];
  let [from, to] = [Infinity, -Infinity];
  for (const { step, time } of courses) {
    for (let i = 0; i < step.length; i++) {
      const near = [step[i - 1], step[i], step[i + 1]].some(
        (s) => s !== null && s >= low && s <= high,
      );
      if (near && time[i] < from) from = time[i];
      if (near && time[i] > to) to = time[i];
    }
  }
  return from <= to ? [from, to] : null;
}

/** The index nearest to `index` at which a column has something; the index itself where it is empty. */
export function nearest(ys, index) {
  for (let far = 0; far < ys.length; far++) {
    if (ys[index - far] !== undefined) return index - far;
    if (ys[index + far] !== undefined) return index + far;
  }
  return index;
}

/** Indices of values with gaps on both sides, which a line alone would not show. */
export function lone(ys) {
  const found = [];
  let before = null; // the neighbour, over what other ranks have
  for (let i = 0; i < ys.length; i++) {
    if (ys[i] === undefined) continue;
    if (ys[i] !== null && before === null) {
      let after = i + 1;
      while (after < ys.length && ys[after] === undefined) after++;
      if ((ys[after] ?? null) === null) found.push(i);
    }
    before = ys[i];
  }
  return found;
}
