// SPDX-License-Identifier: Apache-2.0
// The page's clock: asks the exporter every two seconds while somebody looks, and lets the view that
// the address names draw what it said.

import * as api from "./api.js";
import { attribute, text } from "./dom.js";
import * as health from "./health.js";
import * as hints from "./hints.js";
import { Overview } from "./overview.js";
import { parse } from "./route.js";
import { RunView } from "./run.js";

const EVERY_MS = 2000;

const node = (id) => document.getElementById(id);
const views = { overview: new Overview(), run: new RunView() };
let route = null;
let newest = null; // what the exporter said last
let asking = new AbortController();
let timer = 0;
let paused = false;
let answers = true; // the exporter did, the last time
let updates = 0;

/** Ask, draw, and come back: at once what is known, then what had to be fetched for the view. */
async function look() {
  clearTimeout(timer);
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const view = views[route.view];
  try {
    newest = await api.runs(signal);
    let spent = 0;
    if (route.view === "overview" || updates === 0) spent += draw();
    await view.load(newest, route, signal);
    if (route.view === "run") spent += draw();
    done(spent);
  } catch (error) {
    if (signal.aborted) return; // somebody looks at something else already
    if (!(error instanceof api.Unanswered)) console.error(error);
    answers = false;
    health.unanswered(error.message, newest?.now ?? null);
  }
  if (!paused && !document.hidden) timer = setTimeout(look, EVERY_MS);
}

/** Draw what is known; returns how long the main thread took. */
function draw() {
  performance.mark("update");
  health.show(newest);
  views[route.view].draw(newest, route);
  return performance.measure("update", "update").duration;
}

function done(spent) {
  const news = hints.news(newest.runs);
  if (!answers) health.say("The exporter answers again.");
  else if (news.length) health.say(news.join(" "));
  answers = true;
  performance.clearMarks("update");
  performance.clearMeasures("update");
  document.documentElement.dataset.updateMs = spent.toFixed(1);
  document.documentElement.dataset.updates = String(++updates);
}

/** The address has changed. */
function turn() {
  const before = route;
  route = parse(location.hash);
  const other = before === null || before.view !== route.view || before.id !== route.id;
  if (other && before !== null) views[before.view].leave();
  views[route.view].enter(route);
  if (newest !== null) views[route.view].draw(newest, route);
  if (other && before !== null) {
    scrollTo(0, 0);
    node(route.view).querySelector("h1").focus({ preventScroll: true });
  }
  look();
}

function pause() {
  paused = !paused;
  const button = node("pause");
  attribute(button, "aria-pressed", String(paused));
  text(node("updated"), paused ? "Paused" : "Updating …");
  health.say(paused ? "Updates are paused." : "Updates go on.");
  if (paused) clearTimeout(timer);
  else look();
}

node("pause").addEventListener("click", pause);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // its hash would be an address of ours
  node("main").focus();
});
addEventListener("hashchange", turn);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else if (!paused) look();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => newest && draw());
turn();
