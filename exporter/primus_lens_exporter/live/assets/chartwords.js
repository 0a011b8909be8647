// SPDX-License-Identifier: Apache-2.0
// A chart in words: for those who do not see it, and for what a drawing cannot show.

import { summary } from "./chartdata.js";
import { clock, counted, isolated, number as rounded } from "./format.js";

const DIGITS = 6;
const NAMED = 5; // of what is not finite

/** A value as charts tell it. */
export function number(value) {
  return rounded(value, DIGITS);
}

/** Where on the x axis. */
export function place(x, axis) {
  return axis === "step" ? `step ${number(x)}` : clock(x);
}

/** `label`: what the picture is; `notes`: sentences to be read below it. */
export function described(key, aligned, { names, axis, linear, noSteps }, truncated) {
  const { low, high, newest, odd } = summary(aligned);
  const ends = `minimum ${number(low)}, maximum ${number(high)}, newest ${number(newest)}`;
  const range = low === null ? "no finite value" : ends;
  const label = `${isolated(key)} by ${axis}, ${counted(names.length, "rank")}: ${range}`;
  const values = (count) => counted(count, "value");
  const { unplaced, hidden } = aligned;
  const notes = [
    odd && oddities(aligned, names, axis, odd),
    noSteps && "No value has a step: it is drawn over time.",
    !noSteps && unplaced && `Without a step, and not drawn here: ${values(unplaced)}.`,
    linear && "No value is above zero: the axis is linear.",
    hidden && `At or below zero, and so not on a logarithmic axis: ${values(hidden)}.`,
    truncated && "There are older records that were not read.",
  ];
  return { label: odd ? `${label}; ${odd} not finite` : label, notes: notes.filter(Boolean) };
}

function oddities({ data, words }, names, axis, count) {
  const found = words.flatMap((odd, series) =>
    [...odd].map(([i, word]) => ({
      i,
      text: `${word} at ${place(data[0][i], axis)} (rank ${names[series]})`,
    })),
  );
  found.sort((a, b) => a.i - b.i);
  const named = found.slice(0, NAMED).map((each) => each.text);
  const more = count - named.length;
  return `Not finite: ${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}.`;
}
