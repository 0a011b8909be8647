# SPDX-License-Identifier: Apache-2.0
import json
import math
import time

import pytest

from support import browser
from support.browser import Visit, address, fill
from support.serving import until

LOSS = "?key=train%2Floss"
XS = "document.querySelector('.plot').uplot.data[0]"
ZOOM = "new URLSearchParams(location.hash.split('?')[1]).get('zoom')"
HIDE = """(yes) => {
  Object.defineProperty(document, "hidden", { value: yes, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
ODD = {7: "NaN", 8: "Infinity", 9: "-Infinity"}


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as each:
        yield each


def loss(step):
    return ODD.get(step, math.exp(-step / 50) + step % 7 / 100)


@pytest.fixture
def run(exporter, rank):
    """A rank with 300 records, and 0/0 beside it with as many."""
    fill(rank, range(300), **{"train/loss": loss, "train/lr": lambda step: 0.1 / (step + 1)})
    fill(rank.parent / "rank_0", range(300), **{"train/loss": lambda step: 1 - step / 400})
    until(lambda: len(browser.ranks_of(exporter).get("r", {"ranks": []})["ranks"]) == 2)
    return exporter


def logged(directory, key, steps=range(10**9)):
    """What a rank's file has: [steps, values], None for what is not finite."""
    lines = map(json.loads, (directory / "wandb_metrics.jsonl").read_text().splitlines())
    rows = [(line["step"], line["data"][key]) for line in lines if line["step"] in steps]
    values = [None if isinstance(value, str) else value for _, value in rows]
    return [[step for step, _ in rows], values]


@pytest.mark.exhaustive
def test_the_table_of_runs_says_what_the_api_says(chromium, run):
    with Visit(chromium, run.url) as visit:
        assert visit.text("#runs tbody .name") == "r"
        assert visit.text("#runs tbody .c-step") == "299"
        assert visit.text("#runs tbody .c-ranks") == "2"
        assert visit.text("#runs tbody .key") == "train/loss"
        assert visit.text("#health dd") == "Ready"


@pytest.mark.exhaustive
def test_nothing_logged_yet_is_explained(chromium, exporter):
    with Visit(chromium, exporter.url) as visit:
        assert "PRIMUS_LENS_WANDB_OUTPUT_PATH" in visit.text("#no-runs")
        assert not visit.page.locator("#runs").is_visible()


def test_a_chart_draws_the_very_values_of_the_file(chromium, run, rank):
    with Visit(chromium, address(run, rest=LOSS)) as visit:
        steps, first, second = visit.plotted()
        assert [steps, first] == logged(rank.parent / "rank_0", "train/loss")
        assert [steps, second] == logged(rank, "train/loss")


@pytest.mark.exhaustive
def test_what_is_not_finite_is_told(chromium, run):
    with Visit(chromium, address(run, rest=LOSS)) as visit:
        note = visit.text(".chart .note")
        assert "NaN at step 7 (rank 0/1), Infinity at step 8 (rank 0/1), " in note
        assert "; 3 not finite" in visit.do("document.querySelector('.plot').ariaLabel")


@pytest.mark.exhaustive
def test_a_chart_over_time_has_the_times_of_the_file(chromium, run, rank):
    with Visit(chromium, address(run, rest=LOSS + "&axis=time")) as visit:
        assert visit.plotted()[0] == [1_700_000_000 + step for step in range(300)]


def test_lines_that_are_appended_are_drawn_without_a_reload(chromium, run, rank):
    with Visit(chromium, address(run, rest=LOSS)) as visit:
        visit.do("document.querySelector('.plot').uplot.same = true")
        asked = []
        visit.page.on("request", lambda request: asked.append(request.url))
        fill(rank, range(300, 310), **{"train/loss": loss})
        visit.until(f"{XS}.at(-1) === 309")
        assert visit.plotted()[2] == logged(rank, "train/loss")[1]
        assert visit.do("document.querySelector('.plot').uplot.same")
        visit.until("document.querySelector('#run-facts').textContent.includes('309')")
        histories = [url for url in asked if "/history?" in url]
        assert histories  # of the rank that has logged, and only what is new
        assert all("after=" in url for url in histories)
        assert len({url.split("id=")[1].split("&")[0] for url in histories}) == 1


@pytest.mark.exhaustive
def test_a_zoom_by_mouse_reads_all_that_was_thinned(chromium, exporter, rank):
    fill(rank, range(20_000), **{"train/loss": math.sin})
    with Visit(chromium, address(exporter, rest=LOSS)) as visit:
        assert len(visit.plotted()[0]) < 2_000
        box = visit.page.locator(".u-over").bounding_box()
        middle = box["y"] + box["height"] / 2
        visit.page.mouse.move(box["x"] + box["width"] * 0.5, middle)
        visit.page.mouse.down()
        visit.page.mouse.move(box["x"] + box["width"] * 0.53, middle, steps=5)
        visit.page.mouse.up()
        visit.until("location.hash.includes('zoom=')")
        low, high = map(float, visit.do(ZOOM).split(","))
        visit.until(
            f"([low, high]) => {XS}[0] > low - 100 && {XS}.at(-1) < high + 100", [low, high]
        )
        steps, values = visit.plotted()
        assert (steps, values) == tuple(logged(rank, "train/loss", set(steps)))
        assert steps == list(range(steps[0], steps[-1] + 1))
        assert steps[0] <= math.ceil(low) < math.floor(high) <= steps[-1]
        visit.page.locator(".u-over").dblclick()
        visit.until("!location.hash.includes('zoom=')")
        visit.until(f"{XS}.at(-1) === 19999")


@pytest.mark.exhaustive
def test_a_zoom_stays_while_lines_arrive(chromium, run, rank):
    with Visit(chromium, address(run, rest=LOSS + "&zoom=100,120")) as visit:
        fill(rank, range(300, 310), **{"train/loss": loss})
        visit.until("document.querySelector('#run-facts').textContent.includes('309')")
        scale = visit.do(
            "(({min, max}) => [min, max])(document.querySelector('.plot').uplot.scales.x)"
        )
        assert scale == [100, 120]


@pytest.mark.exhaustive
def test_a_link_has_keys_ranks_and_axes_in_it(chromium, run):
    one = browser.ranks_of(run)["r"]["ranks"][1]["id"]
    rest = f"?key=train%2Flr&key=train%2Floss&rank={one}&axis=time&y=log"
    with Visit(chromium, address(run, rest=rest)) as visit:
        assert [visit.text(f".chart >> nth={n} >> h2") for n in (0, 1)] == [
            "train/lr",
            "train/loss",
        ]
        assert len(visit.plotted(1)) == 2
        assert visit.page.get_by_label("Time", exact=True).is_checked()
        assert visit.page.get_by_label("Log", exact=True).is_checked()
        assert visit.do("document.querySelector('.plot').uplot.scales.y.distr") == 3


def test_ranks_show_who_is_behind_silent_and_missing(chromium, exporter, rank):
    for number, steps, ago in ((0, 300, 300), (1, 300, 300), (4, 250, 450)):
        fill(rank.parent / f"rank_{number}", range(steps), start=time.time() - ago, loss=float)
    until(lambda: len(browser.ranks_of(exporter).get("r", {"ranks": ()})["ranks"]) == 3)
    with Visit(chromium, address(exporter, rest="/ranks?sort=-behind")) as visit:
        rows = visit.page.locator("#ranks tbody tr").all_inner_texts()
        assert len(rows) == 5
        assert rows[0].split("\t")[0] == "0/4"
        assert {"249", "50", "Silent"} <= set(rows[0].replace("\t", "\n").split("\n"))
        assert visit.text("#rank-note") == "3 ranks, 1 silent while others log, missing: 0/2, 0/3"


@pytest.mark.exhaustive
def test_a_run_that_is_gone_is_said_to_be(chromium, exporter):
    with Visit(chromium, exporter.url + "/#/run/nonsense") as visit:
        assert visit.page.locator("#run-gone").is_visible()
        assert not visit.page.locator("#run-here").is_visible()


@pytest.mark.exhaustive
def test_an_exporter_that_ends_and_comes_back_is_noticed(chromium, run, rank):
    with Visit(chromium, address(run, rest=LOSS), quiet=False) as visit:
        run.__exit__()
        visit.page.locator(".banner", has_text="does not answer").wait_for()
        run.__enter__()
        visit.page.locator(".banner").wait_for(state="detached")
        assert visit.text("#status") == "The exporter answers again."
        assert visit.plotted()[2] == logged(rank, "train/loss")[1]


@pytest.mark.exhaustive
def test_paused_it_asks_only_when_told_to(chromium, run, rank):
    with Visit(chromium, run.url) as visit:
        visit.page.get_by_role("button", name="Pause").click()
        with visit.page.expect_response("**/api/v1/runs"):
            visit.page.locator("#run-filter").fill("r")
        asked = []
        visit.page.on("request", lambda request: asked.append(request.url))
        visit.page.wait_for_timeout(2_500)
        assert [url for url in asked if "/api/" in url] == []
        visit.page.get_by_role("button", name="Pause").click()
        visit.updated()


@pytest.mark.exhaustive
def test_a_hidden_tab_asks_no_more_and_a_shown_one_at_once(chromium, run):
    with Visit(chromium, run.url) as visit:
        visit.do(HIDE, True)
        asked = []
        visit.page.on("request", lambda request: asked.append(request.url))
        visit.page.wait_for_timeout(2_500)
        assert asked == []
        visit.do(HIDE, False)
        visit.updated()


@pytest.mark.exhaustive
def test_a_change_of_the_colour_scheme_reaches_the_chart(chromium, run):
    stroke = "document.querySelector('.plot').uplot.axes[0].stroke()"
    with Visit(chromium, address(run, rest=LOSS), color_scheme="light") as visit:
        light = visit.do(stroke)
        visit.page.emulate_media(color_scheme="dark")
        visit.until(f"light => {stroke} !== light", light)
