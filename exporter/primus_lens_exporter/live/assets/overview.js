// SPDX-License-Identifier: Apache-2.0
// The table of the runs on this node.

import { keyed, attribute, shown, stamp, text } from "./dom.js";
import { counted, grouped, isolated, number, numeric, rate, runName, span } from "./format.js";
import * as hints from "./hints.js";
import { go, ofRun } from "./route.js";
import { Sorting } from "./sorting.js";
import { sparkline } from "./spark.js";

const MOST_ROWS = 500; // beyond them a filter says more than a scroll bar

const node = (id) => document.getElementById(id);
const weight = (run) => -hints.state(run).weight;
const conflicts = (run) => run.step_fix && (run.step_fix.conflicts ?? 0); // what is 0 is not there
const names = (run) => [run.project, runName(run), run.run_id];
const COLUMNS = new Map([
  ["name", names],
  ["where", (run) => [`${run.namespace} ${run.workload}`, ...names(run)]],
  ["step", (run) => [numeric(run.step), ...names(run)]],
  ["value", (run) => [numeric(run.headline?.value), ...names(run)]],
  ["rate", (run) => [run.steps_per_second, ...names(run)]],
  ["age", (run) => [-run.last_record, ...names(run)]],
  ["ranks", (run) => [run.ranks.length, ...names(run)]],
  ["conflicts", (run) => [conflicts(run), ...names(run)]],
  ["state", (run) => [-weight(run), ...names(run)]],
]);

export class Overview {
  #section = node("overview");
  #body = node("runs").tBodies[0];
  #sorting = new Sorting(node("runs"), COLUMNS, (run) => [weight(run), ...names(run)]);

  constructor() {
    const filter = node("run-filter");
    filter.addEventListener("input", () => go({ filter: filter.value }, { replace: true }));
  }

  enter(route) {
    shown(this.#section, true);
    if (document.activeElement !== node("run-filter")) node("run-filter").value = route.filter;
    document.title = "Runs – Primus Lens";
  }

  leave() {
    shown(this.#section, false);
  }

  /** Everything is in the answer already. */
  async load() {}

  draw({ runs, now, left_out }, route) {
    const wanted = route.filter.toLowerCase();
    const matching = wanted ? runs.filter((run) => searched(run).includes(wanted)) : runs;
    const rows = this.#sorting.order(matching, (run) => run.id, route.sort);
    node("runs").classList.toggle("no-where", !runs.some((run) => run.namespace || run.workload));
    shown(node("no-runs"), runs.length === 0);
    shown(node("no-match"), runs.length > 0 && rows.length === 0);
    shown(node("runs"), rows.length > 0);
    text(node("run-count"), count(runs, rows, wanted));
    shown(node("runs-cut"), rows.length > MOST_ROWS);
    text(node("runs-cut"), `${MOST_ROWS} of ${rows.length} runs are shown; filter to see others.`);
    shown(node("runs-left-out"), left_out > 0);
    text(node("runs-left-out"), `${counted(left_out, "older run")} of single ranks are left out.`);
    keyed(
      this.#body,
      rows.slice(0, MOST_ROWS),
      (run) => run.id,
      () => stamp("t-run"),
      (parts, run) => fill(parts, run, now),
    );
  }
}

function count(runs, rows, wanted) {
  const live = runs.filter((run) => !run.finished).length;
  const all = `${counted(live, "run")} live, ${grouped(runs.length - live)} finished`;
  return wanted ? `${grouped(rows.length)} of ${all}` : all;
}

/** What the filter looks in, lower case. */
function searched(run) {
  const own = [run.project, run.entity, run.name, run.run_id, run.group, run.job_type];
  const place = [
    run.namespace,
    run.workload,
    run.workload_kind,
    ...run.ranks.map((rank) => rank.pod),
  ];
  const found = run.hints.flatMap((hint) => [hints.kind(hint).label, hint.kind]);
  return [...own, ...place, ...found, hints.state(run).label].join("\n").toLowerCase();
}

function fill(parts, run, now) {
  const state = hints.state(run);
  attribute(parts.root, "data-state", state.tone);
  attribute(parts.link, "href", ofRun(run.id));
  text(parts.project, run.project);
  text(parts.name, runName(run));
  text(parts.more, more(run));
  text(parts.namespace, run.namespace);
  text(parts.workload, [run.workload_kind, run.workload].filter(Boolean).join(" "));
  text(parts.step, number(run.step));
  text(parts.value, number(run.headline?.value));
  text(parts.key, run.headline?.key ?? "");
  text(parts.rate, run.finished ? "–" : rate(run.steps_per_second));
  text(parts.age, run.last_record ? span(now - run.last_record) : "–");
  text(parts.ranks, grouped(run.ranks.length));
  text(parts.conflicts, conflicts(run) === null ? "–" : grouped(conflicts(run)));
  hints.badge(parts.state, state.label, state.tone);
  shown(parts.state, run.finished || run.hints.length === 0); // hints say more
  hints.list(parts.hints, run, "t-badge");
  sparkline(parts.spark, [{ ys: run.spark }], isolated(run.headline?.key ?? "no value"));
}

function more(run) {
  const id = run.name ? run.run_id : "";
  return [id, run.group, run.job_type].filter(Boolean).join(" · ");
}
