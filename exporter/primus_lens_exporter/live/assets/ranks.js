// SPDX-License-Identifier: Apache-2.0
// The table of a run's ranks: who is behind, who is silent, who is not there.

import { attribute, keyed, shown, stamp, text } from "./dom.js";
import { counted, grouped, number, numeric, rate, rankName, span } from "./format.js";
import { badge, kind } from "./hints.js";
import { ordered } from "./keys.js";
import { go } from "./route.js";
import { Sorting } from "./sorting.js";

const MOST_ROWS = 512;
const SILENT_SECONDS = 60;
const MOST_LOCAL = 128; // nobody has more GPUs; a hostile name may say so

const node = (id) => document.getElementById(id);
const COLUMNS = new Map([
  ["rank", (row) => [row.name, row.pod]],
  ["pod", (row) => [`${row.node} ${row.pod}`, row.name]],
  ["step", (row) => [row.step, row.name]],
  ["behind", (row) => [row.behind, row.name]],
  ["rate", (row) => [row.rate, row.name]],
  ["age", (row) => [row.age, row.name]],
  ["value", (row) => [numeric(row.value), row.name]],
  ["state", (row) => [row.weight, row.name]],
]);

export class Ranks {
  #body = node("ranks").tBodies[0];
  #sorting = new Sorting(node("ranks"), COLUMNS, (row) => [row.name, row.pod]);

  constructor() {
    node("rank-key").addEventListener("change", ({ target }) =>
      go({ rankKey: target.value }, { replace: true }),
    );
  }

  draw(run, data, now, route) {
    const keys = ordered(data.values.keys());
    const key = keys.includes(route.rankKey) ? route.rankKey : (run.headline?.key ?? keys[0] ?? "");
    keyed(
      node("rank-key"),
      keys,
      (each) => each,
      (each) => option(each),
      () => {},
    );
    if (node("rank-key").value !== key) node("rank-key").value = key;
    const present = rows(run, data.values.get(key) ?? new Map(), now);
    const gaps = missing(run.ranks);
    const all = this.#sorting.order([...present, ...gaps], (row) => row.id, route.sort);
    node("ranks").classList.toggle("no-where", !run.ranks.some((rank) => rank.node || rank.pod));
    text(node("rank-note"), summary(present, gaps));
    shown(node("ranks-cut"), all.length > MOST_ROWS);
    text(
      node("ranks-cut"),
      `${MOST_ROWS} of ${all.length} ranks are shown; sort to see others first.`,
    );
    keyed(
      this.#body,
      all.slice(0, MOST_ROWS),
      (row) => row.id,
      () => stamp("t-rank"),
      fill,
    );
  }
}

function option(key) {
  const root = document.createElement("option");
  root.value = key;
  root.textContent = key;
  return { root };
}

function rows(run, values, now) {
  const steps = run.ranks.map((rank) => numeric(rank.step)).filter(Number.isFinite);
  const first = steps.length ? Math.max(...steps) : null;
  const newest = Math.max(...run.ranks.map((rank) => rank.last_record));
  return run.ranks.map((rank) => {
    const step = numeric(rank.step);
    const behind = first === null || !Number.isFinite(step) ? null : first - step;
    const hint = run.hints.find((each) => each.rank_ids.includes(rank.id));
    return {
      id: rank.id,
      name: rankName(rank),
      node: rank.node,
      pod: [rank.pod, rank.container].filter(Boolean).join(" / "),
      step,
      behind,
      rate: run.finished ? null : rank.steps_per_second,
      age: rank.last_record ? now - rank.last_record : null,
      value: values.get(rank.id),
      ...state(run, hint, newest - rank.last_record > SILENT_SECONDS),
    };
  });
}

function state(run, hint, silent) {
  if (hint && (kind(hint).tone === "bad" || !silent)) return { ...kind(hint), weight: 3 };
  if (run.finished) return { label: "Finished", tone: "done", weight: 0 };
  if (silent) return { label: "Silent", tone: "warn", weight: 2 };
  return { label: "Logging", tone: "good", weight: 1 };
}

/** Ranks that a node should have, by those around them: 0 and 2 log, 1 does not. */
function missing(ranks) {
  const nodes = new Map();
  for (const { node_rank, local_rank } of ranks) {
    const there = nodes.get(node_rank) ?? nodes.set(node_rank, new Set()).get(node_rank);
    if (Number(local_rank) < MOST_LOCAL) there.add(Number(local_rank));
  }
  const gaps = [];
  for (const [node_rank, there] of nodes) {
    for (let local = 0; local < Math.max(...there); local++) {
      if (!there.has(local)) gaps.push(gap(rankName({ node_rank, local_rank: local })));
    }
  }
  return gaps;
}

function gap(name) {
  const nothing = {
    node: "",
    pod: "",
    step: null,
    behind: null,
    rate: null,
    age: null,
    value: null,
  };
  return { id: `missing ${name}`, name, ...nothing, label: "No records", tone: "warn", weight: 4 };
}

function summary(present, gaps) {
  const count = (label) => present.filter((row) => row.label === label).length;
  const parts = [counted(present.length, "rank")];
  if (count("Straggler")) parts.push(counted(count("Straggler"), "straggler"));
  if (count("Silent")) parts.push(`${count("Silent")} silent while others log`);
  if (gaps.length)
    parts.push(
      `missing: ${gaps
        .slice(0, 8)
        .map((row) => row.name)
        .join(", ")}${gaps.length > 8 ? " …" : ""}`,
    );
  return parts.join(", ");
}

function fill(parts, row) {
  attribute(parts.root, "data-state", row.tone);
  text(parts.rank, row.name);
  text(parts.node, row.node);
  text(parts.pod, row.pod);
  text(parts.step, number(row.step));
  text(parts.behind, row.behind === null ? "–" : grouped(row.behind));
  text(parts.rate, rate(row.rate));
  text(parts.age, row.age === null ? "–" : span(row.age));
  text(parts.value, number(row.value));
  badge(parts.state, row.label, row.tone);
}
