// SPDX-License-Identifier: Apache-2.0
// Which ranks are drawn: all up to eight, those with hints first beyond that, or those chosen.

import { keyed, shown, stamp, text } from "./dom.js";
import { go } from "./route.js";

const USUAL = 8;
export const MOST = 16; // lines that can be told apart
const LISTED = 512;

const node = (id) => document.getElementById(id);

export class Chooser {
  #usual = null; // {run, ids}: chosen once, lest curves come and go with hints
  #run = null;
  #chosen = [];

  constructor() {
    node("chooser-default").addEventListener("click", () => go({ ranks: [] }, { replace: true }));
    node("chooser").addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      node("chooser").open = false;
      node("chooser").querySelector("summary").focus();
    });
  }

  /** The ranks to draw, in the run's order. */
  chosen(run, route) {
    const asked = run.ranks.filter((rank) => route.ranks.includes(rank.id)).slice(0, MOST);
    this.#chosen = asked.length ? asked : this.#usually(run);
    return this.#chosen;
  }

  draw(run, names, route) {
    this.#run = run;
    shown(node("chooser"), run.ranks.length > 1);
    text(node("chosen"), `${this.#chosen.length} of ${run.ranks.length}`);
    if (!node("chooser").open && node("chooser-list").hasChildNodes()) return;
    const cut = run.ranks.length > LISTED ? ` The first ${LISTED} are listed.` : "";
    text(node("chooser-note"), `At most ${MOST} are drawn.${cut}`);
    node("chooser-default").disabled = route.ranks.length === 0;
    const ids = new Set(this.#chosen.map((rank) => rank.id));
    keyed(
      node("chooser-list"),
      run.ranks.slice(0, LISTED),
      (rank) => rank.id,
      (rank) => this.#make(rank),
      (parts, rank) => {
        text(parts.name, names.get(rank.id));
        parts.box.checked = ids.has(rank.id);
        parts.box.disabled = ids.size >= MOST && !parts.box.checked;
      },
    );
  }

  #usually(run) {
    const known = new Map(run.ranks.map((rank) => [rank.id, rank]));
    const kept = this.#usual?.run === run.id ? this.#usual.ids.filter((id) => known.has(id)) : [];
    const hinted = run.hints.flatMap((hint) => hint.rank_ids).filter((id) => known.has(id));
    const ids = new Set(kept);
    for (const id of [...hinted, ...known.keys()]) if (ids.size < USUAL) ids.add(id);
    this.#usual = { run: run.id, ids: [...ids] };
    return run.ranks.filter((rank) => ids.has(rank.id));
  }

  #make(rank) {
    const parts = stamp("t-choice");
    parts.box.addEventListener("change", () => {
      const ids = new Set(this.#chosen.map((each) => each.id));
      if (parts.box.checked) ids.add(rank.id);
      else ids.delete(rank.id);
      if (ids.size === 0)
        parts.box.checked = true; // nothing would be drawn
      else
        go(
          { ranks: this.#run.ranks.map((each) => each.id).filter((id) => ids.has(id)) },
          { replace: true },
        );
    });
    return parts;
  }
}
