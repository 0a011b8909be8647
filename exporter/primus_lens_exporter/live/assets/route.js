// SPDX-License-Identifier: Apache-2.0
// What is looked at, in the address's hash, so that it can be shared and gone back to:
// #/?filter=…&sort=-step, #/run/ID?key=…&rank=…&axis=time&y=log&zoom=10,20, #/run/ID/ranks?…

const OVERVIEW = { filter: "", sort: "" };
const RUN = {
  keys: [],
  ranks: [],
  axis: "step",
  log: false,
  zoom: null,
  filter: "",
  sort: "",
  rankKey: "",
};

/** The hash as {view, …}: "overview", or "run" with its id and tab. Nonsense is the overview. */
export function parse(hash) {
  const [path, query = ""] = split(hash.replace(/^#?\/?/, ""));
  const params = new URLSearchParams(query);
  const filter = params.get("filter") ?? "";
  const sort = params.get("sort") ?? "";
  const [view, id, tab] = path.split("/");
  if (view !== "run" || !id) return { ...OVERVIEW, view: "overview", filter, sort };
  return {
    view: "run",
    id,
    tab: tab === "ranks" ? "ranks" : "charts",
    keys: [...new Set(params.getAll("key"))],
    ranks: [...new Set(params.getAll("rank"))],
    axis: params.get("axis") === "time" ? "time" : "step",
    log: params.get("y") === "log",
    zoom: zoom(params.get("zoom")),
    rankKey: params.get("value") ?? "",
    filter,
    sort,
  };
}

/** The hash of a route. */
export function format(route) {
  const params = new URLSearchParams();
  for (const key of route.keys ?? []) params.append("key", key);
  for (const rank of route.ranks ?? []) params.append("rank", rank);
  if (route.axis === "time") params.set("axis", "time");
  if (route.log) params.set("y", "log");
  if (route.zoom) params.set("zoom", route.zoom.join(","));
  if (route.rankKey) params.set("value", route.rankKey);
  if (route.filter) params.set("filter", route.filter);
  if (route.sort) params.set("sort", route.sort);
  const path =
    route.view === "run" ? `run/${route.id}${route.tab === "ranks" ? "/ranks" : ""}` : "";
  const query = params.toString();
  return `#/${path}${query && "?"}${query}`;
}

/** A run's address, with everything else as at first. */
export function ofRun(id) {
  return format({ ...RUN, view: "run", id });
}

/** Change what is looked at. `replace`: without a new entry to go back to. */
export function go(changes, { replace = false } = {}) {
  const hash = format({ ...parse(location.hash), ...changes });
  if (hash === location.hash) return;
  if (replace) history.replaceState(null, "", hash);
  else history.pushState(null, "", hash);
  dispatchEvent(new HashChangeEvent("hashchange")); // neither of the two sends one
}

function split(text) {
  const at = text.indexOf("?");
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function zoom(text) {
  const ends = (text ?? "").split(",").map(Number);
  return ends.length === 2 && ends.every(Number.isFinite) && ends[0] < ends[1] ? ends : null;
}
