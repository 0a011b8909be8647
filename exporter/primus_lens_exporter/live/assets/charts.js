// SPDX-License-Identifier: Apache-2.0
// The open charts of a run, and the tools above them: axes and zoom are common to all.

import { Chart } from "./chart.js";
import { timesOf } from "./chartdata.js";
import { keyed, member, shown, text } from "./dom.js";
import { go, parse } from "./route.js";

const node = (id) => document.getElementById(id);

export class Charts {
  #list = node("charts");
  #onClose;
  #extent = null; // first and last x of all charts

  constructor(onClose) {
    this.#onClose = onClose;
    const tools = node("tools");
    tools.addEventListener("change", ({ target }) => {
      if (target.name === "axis") go({ axis: target.value, zoom: null }, { replace: true });
      if (target.name === "scale") go({ log: target.value === "log" }, { replace: true });
    });
    for (const button of tools.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.#move(button.dataset.zoom));
    }
  }

  /** What the zoom is in Unix seconds, by what is known of the open keys; null: all. */
  times(data, chosen, route) {
    if (route.zoom === null) return null;
    const courses = chosen.flatMap((rank) => {
      const known = data.charts.get(rank.id)?.courses;
      return route.keys.map((key) => known?.get(key)).filter(Boolean);
    });
    return timesOf(courses, route.axis, route.zoom);
  }

  draw(data, chosen, names, route) {
    this.#tools(route);
    this.#close(route.keys);
    const make = (key) => this.#make(key);
    keyed(
      this.#list,
      route.keys,
      (key) => key,
      make,
      () => {},
    );
    const charts = route.keys.map((key) => member(this.#list, key));
    const extents = charts
      .map((chart) => chart.prepare(courses(data, chosen, route, chart.key), route))
      .filter(Boolean);
    this.#extent = extents.length
      ? [Math.min(...extents.map(([low]) => low)), Math.max(...extents.map(([, high]) => high))]
      : null;
    const truncated = [...data.charts.values()].some((history) => history.truncated);
    const common = {
      names: chosen.map((rank) => names.get(rank.id)),
      zoom: route.zoom,
      extent: this.#extent,
      truncated,
    };
    for (const chart of charts) chart.draw(common);
    shown(node("charts-note"), data.late);
    text(node("charts-note"), "The exporter is busy: some curves are late.");
  }

  /** Go to a chart that was opened just now. */
  focus(key) {
    const chart = member(this.#list, key);
    if (chart === undefined) return;
    chart.parts.plot.focus({ preventScroll: true });
    chart.root.scrollIntoView({ block: "nearest" });
  }

  clear() {
    this.#extent = null;
    this.#close([]);
    keyed(this.#list, [], String, null, null);
  }

  #close(open) {
    for (const { chart } of [...this.#list.children])
      if (!open.includes(chart.key)) chart.destroy();
  }

  #make(key) {
    const chart = new Chart(key, {
      zoom: (ends) => this.#zoom(ends),
      move: (how) => this.#move(how),
      close: () => {
        go({ keys: parse(location.hash).keys.filter((each) => each !== key) });
        this.#onClose(key);
      },
    });
    chart.root.chart = chart;
    return chart;
  }

  #tools(route) {
    shown(node("zoom"), route.keys.length > 0);
    for (const radio of node("tools").querySelectorAll("input[type=radio]")) {
      radio.checked =
        radio.value === (radio.name === "axis" ? route.axis : route.log ? "log" : "linear");
    }
    for (const button of node("zoom").querySelectorAll("[data-zoom]")) {
      button.disabled = route.zoom === null && button.dataset.zoom !== "in";
    }
  }

  #move(how) {
    const whole = this.#extent;
    if (how === "reset" || whole === null) return this.#zoom(null);
    const [low, high] = parse(location.hash).zoom ?? whole;
    const width = high - low;
    const moves = {
      in: [width / 4, -width / 4],
      out: [-width / 2, width / 2],
      back: [-width / 2, -width / 2],
      on: [width / 2, width / 2],
    };
    const [by, and] = moves[how];
    const ends = [low + by, high + and];
    const all = ends[0] <= whole[0] && ends[1] >= whole[1];
    return this.#zoom(all ? null : ends);
  }

  #zoom(ends) {
    const { axis } = parse(location.hash);
    const digits = axis === "time" || (ends && ends[1] - ends[0] < 20) ? 3 : 0;
    go({ zoom: ends?.map((x) => Number(x.toFixed(digits))) ?? null }, { replace: true });
  }
}

/** Of each rank, of one key: within the zoom as soon as that has been read. */
function courses(data, chosen, route, key) {
  return chosen.map((rank) => {
    const zoomed = route.zoom && data.zoomed.get(rank.id)?.courses.get(key);
    return zoomed || data.charts.get(rank.id)?.courses.get(key);
  });
}
