// SPDX-License-Identifier: Apache-2.0
// What is fetched of one run: newest values, and the courses that sparklines and charts show. Each
// look asks for no more than what is new, and only of ranks that have logged since.

import * as api from "./api.js";
import { History } from "./history.js";

const SPARK_POINTS = 60;
const MOST_SPARKS = 1600; // keys times ranks
const CHART_POINTS = 1500;

export class RunData {
  values = new Map(); // by key: a Map from rank id to a value of the API
  sparks = new Map(); // by rank id: a History of every key
  charts = new Map(); // by rank id: a History of the open keys
  zoomed = new Map(); // likewise, within the zoom, with all that there is
  #open = "";
  #zoom = "";
  #seen = new WeakMap(); // of a History: the rank's records when it was last asked for

  constructor(id) {
    this.id = id;
  }

  async loadValues(signal) {
    const { values } = await api.values(this.id, signal);
    this.values = new Map(
      Object.entries(values).map(([key, ranks]) => [key, new Map(Object.entries(ranks))]),
    );
  }

  /** The ranks whose sparklines are drawn: fewer than chosen where there are very many keys. */
  sparkRanks(chosen) {
    return chosen.slice(0, Math.max(1, Math.floor(MOST_SPARKS / Math.max(1, this.values.size))));
  }

  async loadSparks(chosen, signal) {
    const make = (rank) => new History(rank.id, { points: SPARK_POINTS });
    await this.#refresh(this.sparks, this.sparkRanks(chosen), make, signal);
  }

  async loadCharts(chosen, keys, signal) {
    const open = JSON.stringify(keys);
    const make = (rank) => new History(rank.id, { keys, points: CHART_POINTS });
    if (open === this.#open) return this.#refresh(this.charts, chosen, make, signal);
    const charts = new Map(); // those that are shown stay until these are there
    await this.#refresh(charts, keys.length ? chosen : [], make, signal);
    this.charts = charts;
    this.#open = open;
    return undefined;
  }

  /** Of a stretch of time, `span` as [from, to] in Unix seconds: read once. Null: none. */
  async loadZoom(chosen, keys, span, signal) {
    const zoom = JSON.stringify([keys, span]);
    if (span === null || zoom !== this.#zoom) this.zoomed = new Map();
    this.#zoom = zoom;
    const [from, to] = span ?? [];
    const make = (rank) => new History(rank.id, { keys, points: CHART_POINTS, from, to });
    const missing = span === null ? [] : chosen.filter((rank) => !this.zoomed.has(rank.id));
    await api.inTurns(
      missing.map((rank) => async () => {
        const history = make(rank);
        await history.refresh(signal);
        if (!history.late) this.zoomed.set(rank.id, history);
      }),
    );
  }

  /** Whether the exporter was too busy for some of it. */
  get late() {
    return [...this.sparks.values(), ...this.charts.values()].some((history) => history.late);
  }

  async #refresh(histories, ranks, make, signal) {
    for (const id of histories.keys()) {
      if (!ranks.some((rank) => rank.id === id)) histories.delete(id);
    }
    const jobs = [];
    for (const rank of ranks) {
      if (!histories.has(rank.id)) histories.set(rank.id, make(rank));
      const history = histories.get(rank.id);
      if (!history.late && this.#seen.get(history) === rank.records) continue;
      jobs.push(async () => {
        await history.refresh(signal);
        this.#seen.set(history, rank.records);
      });
    }
    await api.inTurns(jobs);
  }
}
