// SPDX-License-Identifier: Apache-2.0
// What the exporter finds remarkable about a run: names, order, and what is told once.

import { attribute, keyed, stamp, text } from "./dom.js";
import { isolated, runName } from "./format.js";

const KINDS = new Map([
  ["loss_not_finite", { label: "Loss not finite", tone: "bad" }],
  ["training_stalled", { label: "Stalled", tone: "bad" }],
  ["loss_spike", { label: "Loss spike", tone: "warn" }],
  ["rank_straggler", { label: "Straggler", tone: "warn" }],
]);

/** Its label, and how grave it is; a kind that a newer exporter knows is shown as it calls it. */
export function kind(hint) {
  return KINDS.get(hint.kind) ?? { label: hint.kind, tone: "warn" };
}

/** A word for the whole run, and how much it wants to be looked at: {label, tone, weight}. */
export function state(run) {
  if (run.finished) return { label: "Finished", tone: "done", weight: 0 };
  const grave = run.hints.some((hint) => kind(hint).tone === "bad");
  return { label: "Running", tone: "good", weight: grave ? 3 : run.hints.length ? 2 : 1 };
}

/** Fills a list of hints, from the template named; `fill` adds what only some lists have. */
export function list(parent, run, template, fill = () => {}) {
  const hints = run.hints.map((hint, i) => ({
    ...hint,
    place: run.hints.slice(0, i).filter((each) => each.kind === hint.kind).length,
  }));
  keyed(
    parent,
    hints,
    (hint) => `${hint.kind} ${hint.place}`,
    () => stamp(template),
    (parts, hint) => {
      const { label, tone } = kind(hint);
      badge(parts.kind, label, tone);
      text(parts.text, hint.text);
      fill(parts, hint);
    },
  );
}

/** A badge: its tone is a colour and, by style sheet, a sign. */
export function badge(node, label, tone) {
  text(node, label);
  attribute(node, "data-tone", tone);
}

let told = null; // by run: the kinds that have been

/** Sentences for what is new since the last call; none for what was there at first. */
export function news(runs) {
  const found = [];
  const now = new Map();
  for (const run of runs) {
    const before = told?.get(run.id) ?? new Set();
    for (const hint of run.hints) {
      if (told && !before.has(hint.kind))
        found.push(`${isolated(runName(run))}: ${kind(hint).label}. ${hint.text}`);
    }
    now.set(run.id, new Set(run.hints.map((hint) => hint.kind)));
  }
  told = now;
  return found;
}
