// SPDX-License-Identifier: Apache-2.0
// A chart's newest values as a table: a row for each step or time, a column for each rank.

import { number } from "./chartwords.js";
import { keyed, text } from "./dom.js";
import { clock } from "./format.js";

const ROWS = 20;

/** Fills `head` (a row) and `body` with the newest rows first. */
export function fillTable({ head, body }, { data, words }, { names, axis }) {
  const heads = [axis === "step" ? "Step" : "Time", ...names.map((name) => `Rank ${name}`)];
  cells(head, heads, () => cell("th", "col"));
  const rows = data[0].map((x, i) => ({ x, i })).slice(-ROWS);
  const id = ({ x }) => `${axis} ${x}`;
  const make = () => ({ root: document.createElement("tr") });
  keyed(body, rows.reverse(), id, make, ({ root }, { x, i }) => {
    const values = names.map((_, series) => value(data[series + 1][i], words[series].get(i)));
    const texts = [axis === "step" ? number(x) : clock(x), ...values];
    cells(root, texts, (column) => (column ? cell("td") : cell("th", "row")));
  });
}

function value(y, word) {
  return y === undefined ? "" : (word ?? number(y));
}

function cells(row, texts, make) {
  const columns = texts.map((content, column) => ({ content, column }));
  const id = ({ column }) => column;
  const fill = ({ root }, { content }) => text(root, content);
  keyed(row, columns, id, ({ column }) => make(column), fill);
}

function cell(name, scope = null) {
  const root = document.createElement(name);
  if (scope) root.scope = scope;
  return { root };
}
