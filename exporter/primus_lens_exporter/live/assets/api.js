// SPDX-License-Identifier: Apache-2.0
// The exporter's JSON, by GET alone. Addresses are relative, so that a proxy may serve the page
// below any path; credentials are the browser's own.

const TIMEOUT_MS = 15_000;
const AT_ONCE = 3; // the exporter bounds how many read records at once; others look too

/** The exporter did not answer, or not with what was asked for. `status` 0: not at all. */
export class Unanswered extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Every run, and the exporter's health. */
export const runs = (signal) => get("runs", [], signal);

/** The newest value of each key of a run, by rank. */
export const values = (id, signal) => get(`runs/${id}/values`, [], signal);

/** What one rank's files hold; `params` are pairs, see History. */
export const history = (params, signal) => get("history", params, signal);

async function get(path, params, signal) {
  const query = new URLSearchParams(params).toString();
  const url = `api/v1/${path}${query && "?"}${query}`;
  const ended = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    const response = await fetch(url, { signal: ended, headers: { Accept: "application/json" } });
    if (response.ok) return await response.json();
    throw new Unanswered(await reason(response), response.status);
  } catch (error) {
    if (error instanceof Unanswered || signal.aborted) throw error;
    throw new Unanswered("The exporter does not answer.");
  }
}

async function reason(response) {
  if (response.status === 401) return "The exporter wants a password: load the page again.";
  const said = await response.json().catch(() => null);
  return said?.error ?? `The exporter answers with status ${response.status}.`;
}

/** Run so many jobs at a time, until all have ended. */
export async function inTurns(jobs) {
  const waiting = [...jobs];
  const worker = async () => {
    while (waiting.length) await waiting.shift()();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
