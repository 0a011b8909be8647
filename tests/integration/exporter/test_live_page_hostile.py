# SPDX-License-Identifier: Apache-2.0
"""What a pod calls its runs and keys is shown as text, and breaks nothing."""

import json

import pytest

from support import browser, serving
from support.browser import Visit, address, fill
from support.serving import until

pytestmark = pytest.mark.exhaustive

NAMES = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "\u202eevil \u2067name",
    "javascript:alert(1)//\"'`",
    "line\nfeed\ttab\x1b[31m",
    "x" * 512,
    "\U0001f680" * 128,
    "__proto__",
    "constructor",
    "toString",
    "../../metrics?a=b&key=c#d%2F%zz+ ",
]
FACTS = ("project", "entity", "name", "group", "job_type")
ELEMENTS = (
    "['img', 'script', 'iframe', 'style'].map((name) => document.querySelectorAll(name).length)"
)


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as each:
        yield each


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A run for each name, in rank 1; one run with all of them as keys, in rank 0."""
    root = tmp_path_factory.mktemp("records")
    ranks = [root / "node_0" / f"rank_{number}" for number in (0, 1)]
    for name in NAMES:
        fill(ranks[1], range(3), run=name, loss=float)
    facts = {name: dict.fromkeys(FACTS, name) for name in NAMES}
    (ranks[1] / "wandb_runs.json").write_text(json.dumps(facts))
    fill(ranks[0], range(3), run="keys", **dict.fromkeys(NAMES, float))
    with serving.Exporter(root) as exporter:
        until(lambda: set(browser.ranks_of(exporter)) == {*NAMES, "keys"})
        until(lambda: all(browser.ranks_of(exporter)[name]["name"] for name in NAMES))
        yield exporter


@pytest.mark.parametrize("width", [360, 1280])
def test_names_of_runs_are_text(chromium, hostile, width):
    with Visit(chromium, hostile.url, width=width) as visit:
        shown = visit.page.locator("#runs tbody .name").all_text_contents()
        assert sorted(shown) == sorted([*NAMES, "keys"])
        assert visit.do(ELEMENTS) == [1, 2, 0, 0]
        assert visit.overflow() == 0


@pytest.mark.parametrize("width", [360, 1280])
def test_keys_are_text(chromium, hostile, width):
    with Visit(chromium, address(hostile, "keys"), width=width) as visit:
        shown = visit.page.locator("#keys .name").all_text_contents()
        assert sorted(shown) == sorted(NAMES)
        assert visit.do(ELEMENTS) == [1, 2, 0, 0]
        assert visit.overflow() == 0


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_each_key_has_its_chart(chromium, hostile, number):
    with Visit(chromium, address(hostile, "keys"), width=360) as visit:
        names = visit.page.locator("#keys .name").all_text_contents()
        visit.page.locator("#keys button").nth(names.index(NAMES[number])).click()
        visit.until("document.querySelector('.plot')?.uplot?.data[0].length === 3")
        assert visit.plotted() == [[0, 1, 2], [0, 1, 2]]
        assert visit.text(".chart h2") == NAMES[number]
        visit.page.reload()  # the address alone is enough
        visit.until("document.querySelector('.plot')?.uplot?.data[0].length === 3")
        assert visit.text(".chart h2") == NAMES[number]
        assert visit.overflow() == 0


@pytest.mark.parametrize("name", NAMES)
def test_each_run_has_its_view(chromium, hostile, name):
    with Visit(chromium, address(hostile, name), width=360) as visit:
        assert visit.text("#run-name") == name
        assert visit.text("#keys .name") == "loss"
        assert visit.overflow() == 0


@pytest.mark.parametrize(
    "rest",
    [
        "#/run/../../metrics",
        "#/run/%zz",
        "#/run/__proto__?key=__proto__",
        "#main",
        "#/nowhere?zoom=b,a&rank=x",
    ],
)
def test_an_address_that_makes_no_sense_harms_nothing(chromium, exporter, rest):
    with Visit(chromium, f"{exporter.url}/{rest}") as visit:
        assert visit.page.locator("main h1:visible").count() == 1
