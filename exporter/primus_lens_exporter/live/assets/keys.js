// SPDX-License-Identifier: Apache-2.0
// The grid of all keys of a run, each with its newest value and a sparkline; a button opens the chart.

import { attribute, keyed, member, shown, stamp, text } from "./dom.js";
import { counted, isolated, number, numeric } from "./format.js";
import { go, parse } from "./route.js";
import { sparkline } from "./spark.js";

export const MOST_OPEN = 4;

// What is looked at first. A loss is what the alerts take for one (docs/alerts.md).
const FIRST = [
  /^(.*[/ _.-])?loss$/i,
  /(^|[/ _.-])(lr|learning[/ _.-]?rate)([/ _.-]|$)/i,
  /grad(ient)?s?[/ _.-]?norm/i,
];
const collator = new Intl.Collator("en", { numeric: true });
const node = (id) => document.getElementById(id);

/** Keys in the order of the page. */
export function ordered(keys) {
  const place = (key) => {
    const found = FIRST.findIndex((pattern) => pattern.test(key));
    return found < 0 ? FIRST.length : found;
  };
  const placed = [...keys].map((key) => [place(key), key]);
  return placed.sort(([p, a], [q, b]) => p - q || collator.compare(a, b)).map(([, key]) => key);
}

export class Keys {
  #list = node("keys");
  #onOpen;

  constructor(onOpen) {
    this.#onOpen = onOpen;
    const filter = node("key-filter");
    filter.addEventListener("input", () => go({ filter: filter.value }, { replace: true }));
  }

  enter(route) {
    if (document.activeElement !== node("key-filter")) node("key-filter").value = route.filter;
  }

  draw(data, chosen, route) {
    const all = ordered(data.values.keys());
    const wanted = route.filter.toLowerCase();
    const keys = all.filter((key) => key.toLowerCase().includes(wanted));
    text(node("key-count"), wanted ? `${keys.length} of ${all.length}` : String(all.length));
    const ranks = data.sparkRanks(chosen);
    shown(node("keys-note"), ranks.length < chosen.length);
    text(
      node("keys-note"),
      `So many keys: the sparklines are of ${counted(ranks.length, "rank")} only.`,
    );
    keyed(
      this.#list,
      keys,
      (key) => key,
      (key) => this.#make(key),
      (parts, key) => {
        const open = route.keys.includes(key);
        attribute(parts.button, "aria-pressed", String(open));
        text(parts.value, range(data.values.get(key)));
        this.#spark(parts, key, ranks.map((rank) => data.sparks.get(rank.id)).filter(Boolean));
      },
    );
  }

  /** Put the keyboard back to where a chart was opened. */
  focus(key) {
    member(this.#list, key)?.button.focus();
  }

  #make(key) {
    const parts = stamp("t-key");
    text(parts.name, key);
    parts.button.title = key;
    parts.button.addEventListener("click", () => this.#toggle(key));
    return parts;
  }

  #spark(parts, key, histories) {
    const version = histories.map((history) => history.version).join();
    if (parts.version === version) return;
    parts.version = version;
    const courses = histories.map((history) => history.courses.get(key)).filter(Boolean);
    const lines = courses.map(({ time, value }) => ({ xs: time, ys: value }));
    sparkline(parts.spark, lines, isolated(key));
  }

  #toggle(key) {
    const { keys } = parse(location.hash);
    if (keys.includes(key)) return go({ keys: keys.filter((each) => each !== key) });
    this.#onOpen(key);
    return go({ keys: [key, ...keys].slice(0, MOST_OPEN) });
  }
}

/** The newest values of all ranks in one text: one number, or lowest to highest. */
function range(values) {
  const words = new Set([...values.values()].map((value) => number(value)));
  if (words.size <= 1) return [...words][0] ?? "–";
  const finite = [...values.values()].map(numeric).filter(Number.isFinite);
  const odd = values.size - finite.length;
  if (finite.length === 0) return [...words].join(", ");
  const ends = new Set([number(Math.min(...finite)), number(Math.max(...finite))]);
  return `${[...ends].join(" … ")}${odd ? `, ${odd} not finite` : ""}`;
}
