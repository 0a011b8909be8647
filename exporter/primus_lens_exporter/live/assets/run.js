// SPDX-License-Identifier: Apache-2.0
// One run: what is known of it, its hints, and its charts or ranks.

import { Unanswered } from "./api.js";
import { Charts } from "./charts.js";
import { Chooser, MOST } from "./chooser.js";
import { attribute, shown, text } from "./dom.js";
import { clock, grouped, isolated, number, rankNames, rate, runName, span } from "./format.js";
import { factList } from "./health.js";
import * as hints from "./hints.js";
import { Keys } from "./keys.js";
import { Ranks } from "./ranks.js";
import { format } from "./route.js";
import { RunData } from "./rundata.js";

const CONFLICTS = 0.1; // as the alert PrimusLensStepConflicts has it

const node = (id) => document.getElementById(id);

export class RunView {
  #section = node("run");
  #chooser = new Chooser();
  #ranks = new Ranks();
  #data = null;
  #opened = null; // the key whose chart gets the focus when it is there
  #charts = new Charts((key) => this.#keys.focus(key));
  #keys = new Keys((key) => (this.#opened = key));

  enter(route) {
    shown(this.#section, true);
    this.#keys.enter(route);
    if (this.#data?.id !== route.id) {
      this.#data = new RunData(route.id);
      this.#charts.clear();
      document.title = "Run – Primus Lens";
    }
  }

  leave() {
    shown(this.#section, false);
  }

  /** Fetch what is looked at. */
  async load({ runs }, route, signal) {
    const run = find(runs, route);
    const data = this.#data;
    if (run === undefined) return;
    try {
      await data.loadValues(signal);
    } catch (error) {
      if (!(error instanceof Unanswered) || error.status !== 404) throw error; // gone a moment ago
    }
    if (route.tab !== "charts") return;
    const chosen = this.#chooser.chosen(run, route);
    await data.loadCharts(chosen, route.keys, signal);
    const times = this.#charts.times(data, chosen, route);
    await data.loadZoom(chosen, route.keys, times, signal);
    await data.loadSparks(chosen, signal);
  }

  draw({ runs, now }, route) {
    const run = find(runs, route);
    shown(node("run-gone"), run === undefined);
    shown(node("run-here"), run !== undefined);
    text(node("run-name"), run ? runName(run) : "Run");
    attribute(node("run-name"), "title", run ? runName(run) : null);
    shown(node("run-state"), run !== undefined);
    if (run === undefined) return;
    const { label, tone } = hints.state(run);
    document.title = `${isolated(runName(run))} – Primus Lens`;
    hints.badge(node("run-state"), label, tone);
    attribute(node("run-state"), "class", "badge");
    factList(node("run-facts"), facts(run, now));
    hints.list(node("run-hints"), run, "t-hint", (parts, { alert, rank_ids }) => {
      text(parts.alert, alert);
      attribute(
        parts.show,
        "href",
        format({ ...route, tab: "charts", sort: "", ranks: rank_ids.slice(0, MOST) }),
      );
      text(parts.show, rank_ids.length === 1 ? "Show this rank" : "Show these ranks");
      shown(parts.show, run.ranks.length > 1 && rank_ids.length > 0);
    });
    this.#tabs(route);
    if (route.tab === "ranks") this.#ranks.draw(run, this.#data, now, route);
    else this.#drawCharts(run, route);
  }

  #drawCharts(run, route) {
    const names = rankNames(run.ranks);
    const chosen = this.#chooser.chosen(run, route);
    this.#chooser.draw(run, names, route);
    this.#charts.draw(this.#data, chosen, names, route);
    this.#keys.draw(this.#data, chosen, route);
    if (this.#opened !== null) this.#charts.focus(this.#opened);
    this.#opened = null;
  }

  #tabs(route) {
    shown(node("charts-view"), route.tab === "charts");
    shown(node("ranks-view"), route.tab === "ranks");
    for (const tab of ["charts", "ranks"]) {
      attribute(node(`tab-${tab}`), "href", format({ ...route, tab, sort: "" }));
      attribute(node(`tab-${tab}`), "aria-current", route.tab === tab ? "page" : null);
    }
  }
}

const find = (runs, route) => runs.find((run) => run.id === route.id);

function facts(run, now) {
  const fix = run.step_fix && { conflicts: 0, dropped: 0, flushes: 0, ...run.step_fix };
  const known = [
    ["Project", [run.entity, run.project].filter(Boolean).join(" / ")],
    ["Run id", run.run_id],
    ["Group", run.group],
    ["Job type", run.job_type],
    ["Namespace", run.namespace],
    [run.workload_kind || "Workload", run.workload],
    ["Step", number(run.step)],
    ["Steps/s", run.finished ? "" : rate(run.steps_per_second)],
    [
      "Last record",
      run.last_record ? `${span(now - run.last_record)} ago, ${clock(run.last_record)}` : "",
    ],
    ["Records", grouped(run.records)],
    ["Ranks", grouped(run.ranks.length)],
    ["Keys", grouped(run.keys)],
  ];
  const list = known.filter(([, value]) => value).map(([name, value]) => ({ name, value }));
  if (fix === null) return list;
  return [
    ...list,
    {
      name: "Step conflicts",
      value: `${grouped(fix.conflicts)} of ${grouped(fix.logs)} calls`,
      tone: fix.conflicts > CONFLICTS * fix.logs ? "warn" : null,
    },
    { name: "Rows dropped", value: grouped(fix.dropped), tone: fix.dropped > 0 ? "warn" : null },
    { name: "Flushes", value: grouped(fix.flushes) },
  ];
}
