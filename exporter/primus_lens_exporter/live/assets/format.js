// SPDX-License-Identifier: Apache-2.0
// Numbers, times and names as people read them. English, as the rest of the page.

/** A value of the API as a number: it says "NaN", "Infinity" and "-Infinity" as text. */
export function numeric(value) {
  return value === null || value === undefined ? null : Number(value);
}

/** A value of the API in so many digits, or its own word. */
export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  const x = Number(value);
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "Infinity" : "−Infinity";
  const size = Math.abs(x);
  if (Number.isInteger(x) && size < 1e9) return grouped(x);
  if (size >= 1e6 || size < 1e-4) return signed(x.toExponential(digits - 1).replace("e+", "e"));
  const rounded = Number(x.toPrecision(digits));
  return Number.isInteger(rounded) ? grouped(rounded) : signed(String(rounded));
}

/** A whole number with a thin space between thousands. */
export function grouped(x) {
  return signed(String(Math.round(x)).replace(/\B(?=(\d{3})+$)/g, "\u202f"));
}

/** Steps a second; below one with more digits. */
export function rate(x) {
  if (x === null || x === undefined) return "–";
  if (x >= 1e9) return number(x, 3);
  return x === 0 ? "0" : x >= 100 ? grouped(x) : String(Number(x.toPrecision(3)));
}

/** A span of seconds: "4 s", "3 min", "2.5 h", "6 d". */
export function span(seconds) {
  const s = Math.max(0, seconds);
  if (s < 99.5) return `${Math.round(s)} s`;
  if (s < 99.5 * 60) return `${Math.round(s / 60)} min`;
  if (s < 48 * 3600) return `${Number((s / 3600).toFixed(1))} h`;
  return `${Math.round(s / 86400)} d`;
}

/** Bytes, in powers of 1000. */
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = count < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(count) / 3));
  return `${Number((count / 1000 ** power).toPrecision(3))} ${units[power]}`;
}

/** Unix seconds as local time of day, with the day where it is not today's. */
export function clock(seconds) {
  const at = new Date(seconds * 1000);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return at.toDateString() === new Date().toDateString() ? time : `${day(at)} ${time}`;
}

/** A date as 2026-01-31. */
export function day(at) {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

export function two(x) {
  return String(x).padStart(2, "0");
}

/** "1 rank", "3 ranks". */
export function counted(count, noun) {
  return `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * A name within a sentence that is no markup of ours (a label, the title): isolated, so that
 * characters that turn the direction of writing end with it. Elements do this by <bdi>.
 */
export function isolated(name) {
  return `\u2068${name}\u2069`;
}

/** "0/3": a rank as its node and its place there, as hints name it. */
export function rankName(rank) {
  return `${rank.node_rank}/${rank.local_rank}`;
}

/** By id: the ranks' names, with the pod where several have the same. */
export function rankNames(ranks) {
  const often = new Map();
  for (const rank of ranks) often.set(rankName(rank), (often.get(rankName(rank)) ?? 0) + 1);
  const full = (rank) => [rankName(rank), rank.pod, rank.container].filter(Boolean).join(" ");
  return new Map(
    ranks.map((rank) => [rank.id, often.get(rankName(rank)) > 1 ? full(rank) : rankName(rank)]),
  );
}

/** A run's name, or its id where it has none. */
export function runName(run) {
  return run.name || run.run_id;
}

function signed(digits) {
  return digits.replace("-", "−");
}
