// SPDX-License-Identifier: Apache-2.0
// Tables whose columns sort by a button in their head, as the address's `sort` says: "step" or "-step".

import { attribute } from "./dom.js";
import { go, parse } from "./route.js";

const collator = new Intl.Collator("en", { numeric: true });
const FIRST_DOWN = new Set(["step", "value", "rate", "ranks", "conflicts", "behind", "state"]);

/** Compares numbers and texts; what is null or NaN comes last, whichever way. */
function compare(a, b, down) {
  const missing = (x) => x === null || x === undefined || Number.isNaN(x);
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  const order = typeof a === "string" ? collator.compare(a, b) : a < b ? -1 : Number(a > b);
  return down ? -order : order;
}

export class Sorting {
  #table;
  #held = []; // ids in the order that is shown

  /** `columns`: by the name of a button, what a row is sorted by; a list counts from its front. */
  constructor(table, columns, usual) {
    this.#table = table;
    this.columns = columns;
    this.usual = usual;
    for (const button of table.tHead.querySelectorAll("[data-sort]")) {
      button.addEventListener("click", () => this.#toggle(button.dataset.sort));
    }
  }

  /**
   * `rows` in order. While somebody points at the table, or is in it by keyboard, rows stay where
   * they are: they must not slip away from under a click.
   */
  order(rows, idOf, sort) {
    const down = sort.startsWith("-");
    const name = sort.replace("-", "");
    const by = this.columns.get(name) ?? this.usual;
    this.#mark(name, down);
    const sorted = rows.map((row) => [[by(row)].flat(), row]);
    sorted.sort(([a], [b]) => first(a, b, down) || first(a.slice(1), b.slice(1), false));
    let result = sorted.map(([, row]) => row);
    const same = this.sort === sort;
    if (same && this.#table.tBodies[0].matches(":hover, :focus-within")) {
      const place = new Map(this.#held.map((id, i) => [id, i]));
      const at = (row) => place.get(idOf(row)) ?? Infinity;
      result = result
        .map((row) => [at(row), row])
        .sort(([a], [b]) => (a === b ? 0 : a - b))
        .map(([, row]) => row);
    }
    this.sort = sort;
    this.#held = result.map(idOf);
    return result;
  }

  #mark(name, down) {
    for (const button of this.#table.tHead.querySelectorAll("[data-sort]")) {
      const sorted = button.dataset.sort === name;
      attribute(
        button.closest("th"),
        "aria-sort",
        sorted ? (down ? "descending" : "ascending") : null,
      );
    }
  }

  #toggle(name) {
    const now = parse(location.hash).sort;
    const [start, other] = FIRST_DOWN.has(name) ? [`-${name}`, name] : [name, `-${name}`];
    go({ sort: now === start ? other : now === other ? "" : start }, { replace: true });
  }
}

function first(a, b, down) {
  for (let i = 0; i < a.length; i++) {
    const order = compare(a[i], b[i], down && i === 0);
    if (order) return order;
  }
  return 0;
}
