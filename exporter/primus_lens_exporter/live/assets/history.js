// SPDX-License-Identifier: Apache-2.0
// What one rank has logged under some keys, kept up to date: the first answer is the whole course,
// thinned by the exporter, each further one only what is newer.

import * as api from "./api.js";

/** Columns of one key: `time` and `step` (numbers or null), `value` (numbers, NaN among them). */
class Course {
  time = [];
  step = [];
  value = [];

  append({ time, step, value }) {
    for (let i = 0; i < time.length; i++) {
      this.time.push(time[i]);
      const at = step[i] === null ? NaN : Number(step[i]);
      this.step.push(Number.isFinite(at) ? at : null);
      this.value.push(Number(value[i]));
    }
  }

  /** As the exporter thins: of each stretch its lowest and highest stay, and what is not finite. */
  thin(points) {
    const stretch = Math.ceil((2 * this.value.length) / points);
    const kept = [];
    for (let start = 0; start < this.value.length; start += stretch) {
      kept.push(...extremes(this.value, start, Math.min(start + stretch, this.value.length)));
    }
    for (const column of ["time", "step", "value"]) this[column] = kept.map((i) => this[column][i]);
  }
}

function extremes(value, start, end) {
  let [low, high] = [-1, -1];
  const kept = new Set();
  for (let i = start; i < end; i++) {
    if (!Number.isFinite(value[i])) kept.add(i);
    else {
      if (low < 0 || value[i] < value[low]) low = i;
      if (high < 0 || value[i] > value[high]) high = i;
    }
  }
  for (const i of [low, high]) if (i >= 0) kept.add(i);
  return [...kept].sort((a, b) => a - b);
}

export class History {
  courses = new Map(); // by key
  truncated = false;
  version = 0; // goes up with each answer that brought something
  late = false; // the newest question was not answered, for the exporter was busy
  #cursor = null;
  #params;
  #points;

  /** Of one rank; of all keys where none are named; within `from` and `to` where both are. */
  constructor(rankId, { keys = [], points, from = null, to = null }) {
    this.#points = points;
    this.#params = [["id", rankId], ["points", points], ...keys.map((key) => ["key", key])];
    if (from !== null) this.#params.push(["from", from], ["to", to]);
  }

  /** Ask for what is new. Raises api.Unanswered only where the exporter does not answer at all. */
  async refresh(signal) {
    const after = this.#cursor === null ? [] : [["after", this.#cursor]];
    try {
      this.#take(await api.history([...this.#params, ...after], signal));
      this.late = false;
    } catch (error) {
      // A rank that is gone keeps its curves until the run is gone too.
      if (!(error instanceof api.Unanswered) || error.status === 0) throw error;
      this.late = error.status === 503;
    }
  }

  #take(answer) {
    if (answer.reset || this.#cursor === null) {
      this.courses = new Map();
      this.truncated = answer.truncated;
      this.version++;
    }
    this.#cursor = answer.cursor || null; // none where there is no file: the next answer is whole too
    if (Object.keys(answer.keys).length) this.version++;
    for (const [key, columns] of Object.entries(answer.keys)) {
      if (!this.courses.has(key)) this.courses.set(key, new Course());
      const course = this.courses.get(key);
      course.append(columns);
      // Appended values have not been thinned: let them grow, then thin them as the others.
      if (course.value.length > 3 * this.#points) course.thin(this.#points);
    }
  }
}
