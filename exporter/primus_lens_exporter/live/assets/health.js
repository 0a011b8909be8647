// SPDX-License-Identifier: Apache-2.0
// The exporter's own state: the line of numbers in the header, banners, and what is said aloud.

import { attribute, keyed, stamp, text } from "./dom.js";
import { bytes, clock, counted, grouped, span } from "./format.js";

const LATE_SECONDS = 60; // as the alert PrimusLensExporterLag has it

const node = (id) => document.getElementById(id);

/** Show what the newest answer says. */
export function show({ exporter, version, now }) {
  text(node("version"), version);
  text(node("updated"), `Updated ${clock(now)}`);
  factList(node("health"), facts(exporter));
  banners(troubles(exporter));
}

/** A list of {name, value, tone} as <dt> and <dd>. */
export function factList(parent, list) {
  keyed(parent, list, (fact) => fact.name, stampFact, fillFact);
}

/** The exporter does not answer: the page shows what was, and since when. */
export function unanswered(message, since) {
  const ago = since === null ? "" : ` What is shown is from ${clock(since)}.`;
  banners([{ text: `${message}${ago} Trying again.`, tone: "bad" }]);
  say(message);
}

/** Say something to those who do not see; the same thing only once. */
export function say(sentence) {
  text(node("status"), sentence);
}

function stampFact() {
  return stamp("t-fact");
}

function fillFact(parts, { name, value, tone = null }) {
  text(parts.name, name);
  text(parts.value, value);
  attribute(parts.root, "data-tone", tone);
}

function facts(exporter) {
  const pods = exporter.pods;
  const bad = (count) => (count > 0 ? "warn" : "none");
  return [
    {
      name: "State",
      value: exporter.ready ? "Ready" : "Starting",
      tone: exporter.ready ? "good" : "warn",
    },
    { name: "Lag", value: lag(exporter), tone: isLate(exporter) ? "warn" : null },
    { name: "Files", value: grouped(exporter.files) },
    { name: "Ranks", value: grouped(exporter.ranks) },
    { name: "Series", value: grouped(exporter.series) },
    {
      name: "Dropped series",
      value: grouped(exporter.dropped_series),
      tone: bad(exporter.dropped_series),
    },
    {
      name: "Refused files",
      value: grouped(exporter.refused_files),
      tone: bad(exporter.refused_files),
    },
    { name: "Limited", value: grouped(exporter.limited), tone: exporter.limited ? null : "none" },
    { name: "Faults", value: grouped(exporter.faults), tone: bad(exporter.faults) },
    ...(pods === null
      ? []
      : [
          { name: "Pods injected", value: grouped(pods.injected) },
          { name: "Pods skipped", value: grouped(pods.skipped) },
          {
            name: "Pods not injected",
            value: grouped(pods.expected_not_injected),
            tone: bad(pods.expected_not_injected),
          },
        ]),
  ];
}

function lag({ lag_bytes, lag_seconds }) {
  return lag_bytes > 0 ? `${bytes(lag_bytes)}, ${span(lag_seconds)}` : "none";
}

function isLate({ lag_bytes, lag_seconds }) {
  return lag_bytes > 0 && lag_seconds > LATE_SECONDS;
}

function troubles(exporter) {
  const found = [];
  if (!exporter.ready)
    found.push({
      text: "The exporter is still reading what was there at its start.",
      tone: "warn",
    });
  if (exporter.ready && isLate(exporter)) {
    const { lag_bytes, lag_seconds } = exporter;
    const behind = `The exporter is behind: the newest record read is ${span(lag_seconds)} old, and ${bytes(lag_bytes)} wait.`;
    found.push({ text: behind, tone: "warn" });
  }
  const missed = exporter.pods?.expected_not_injected ?? 0;
  if (missed > 0) {
    const asked = `${counted(missed, "pod")} asked for the hook and did not get it: no webhook answered when they were made.`;
    found.push({ text: asked, tone: "warn" });
  }
  return found;
}

function banners(list) {
  keyed(
    node("banners"),
    list,
    (each) => each.text,
    () => stamp("t-banner"),
    (parts, each) => {
      text(parts.root, each.text);
      attribute(parts.root, "data-tone", each.tone);
    },
  );
}
