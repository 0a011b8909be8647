# SPDX-License-Identifier: Apache-2.0
"""By keyboard, by screen reader, in a narrow window, behind a password, with very many runs."""

import json
import math

import bcrypt
import pytest

from support import browser, serving
from support.browser import Visit, address, fill, ranks_of
from support.serving import until

pytestmark = pytest.mark.exhaustive

KEYS = {f"layers/{n}/norm": float for n in range(48)}
KEYS |= {"train/loss": lambda step: math.exp(-step), "train/grad_norm": float}


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as each:
        yield each


def filled(root):
    """A run on two ranks, and one whose loss is NaN."""
    for number in (0, 1):
        fill(root / "node_0" / f"rank_{number}", range(50), **KEYS)
    fill(root / "node_0" / "rank_0", range(50), run="bad", loss=lambda step: "NaN")
    browser.name(root / "node_0" / "rank_1", project="llama", name="pretrain", entity="team")
    return root


def there(exporter):
    until(lambda: ranks_of(exporter).get("r", {}).get("name"))
    until(lambda: "bad" in ranks_of(exporter))
    return exporter


@pytest.fixture
def run(exporter, tmp_path):
    filled(tmp_path / "records")
    return there(exporter)


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """The same, for those who only look."""
    with serving.Exporter(filled(tmp_path_factory.mktemp("records"))) as exporter:
        yield there(exporter)


def tab_to(visit, selector):
    """Press Tab until the focus is there."""
    for _ in range(40):
        visit.page.keyboard.press("Tab")
        if visit.do("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"no Tab leads to {selector}")


def test_the_keyboard_leads_to_a_chart_and_through_it(chromium, standing):
    with Visit(chromium, standing.url) as visit:
        press = visit.page.keyboard.press
        tab_to(visit, f"a[href='{address(standing).split('/', 3)[3]}']")
        press("Enter")
        visit.updated()
        tab_to(visit, ".key-card")
        press("Enter")
        visit.until("document.activeElement.uplot?.data[0].length === 50")
        press("ArrowLeft")
        assert visit.text(".legend > span") == "step 49"
        press("Home")
        assert visit.text(".legend > span") == "step 0"
        press("+")
        visit.until("location.hash.includes('zoom=')")
        press("Escape")
        visit.until("!location.hash.includes('zoom=')")
        visit.page.keyboard.press("Shift+Tab")
        press("Enter")  # closes it
        visit.until("document.activeElement.matches('.key-card')")
        assert visit.page.locator(".chart").count() == 0


def test_the_keyboard_sorts_filters_and_skips(chromium, standing):
    with Visit(chromium, standing.url) as visit:
        visit.page.keyboard.press("Tab")
        visit.page.keyboard.press("Enter")
        assert visit.do("document.activeElement.id") == "main"
        tab_to(visit, "#run-filter")
        visit.page.keyboard.type("LLAMA")
        assert visit.page.locator("#runs tbody tr").count() == 1
        tab_to(visit, "[data-sort=step]")
        visit.page.keyboard.press("Enter")
        assert visit.do("document.querySelector('.c-step').ariaSort") == "descending"
        assert visit.do("location.hash") == "#/?filter=LLAMA&sort=-step"


@pytest.mark.parametrize("rest", ["", "?key=train%2Floss&key=train%2Fgrad_norm", "/ranks"])
@pytest.mark.parametrize("width", [320, 360, 900])
def test_a_narrow_window_needs_no_sideways_scrolling(chromium, standing, rest, width):
    url = address(standing, rest=rest) if rest else standing.url
    with Visit(chromium, url, width=width) as visit:
        assert visit.overflow() == 0
        if "key" in rest:
            visit.page.locator(".chart summary").first.click()
            visit.page.locator("#chooser summary").click()
            assert visit.overflow() == 0


@pytest.mark.parametrize("rest", [None, "?key=train%2Floss", "/ranks", "nothing"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_has_nothing_to_say(chromium, standing, rest, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    url = standing.url if rest is None else address(standing, rest=rest)
    with Visit(chromium, url, color_scheme=scheme, width=width) as visit:
        if rest and "key" in rest:
            visit.page.locator(".chart summary").click()
            visit.page.locator("#chooser summary").click()
        results = axe.run(visit.page)
        assert results.violations_count == 0, results.generate_report()


def test_a_chart_can_be_read_as_a_table(chromium, standing):
    with Visit(chromium, address(standing, rest="?key=train%2Fgrad_norm")) as visit:
        visit.page.locator(".chart summary").click()
        assert visit.page.locator(".chart thead th").all_inner_texts() == [
            "Step",
            "Rank 0/0",
            "Rank 0/1",
        ]
        assert visit.page.locator(".chart tbody tr").first.inner_text().split() == ["49"] * 3
        label = visit.do("document.querySelector('.plot').ariaLabel")
        assert "minimum 0, maximum 49, newest 49" in label


def test_new_hints_are_said_and_old_ones_are_not(chromium, run, rank):
    with Visit(chromium, run.url) as visit:
        assert visit.text("#status") == ""
        assert "Loss not finite" in visit.text("#runs tbody")
        fill(rank, [50], **{"train/loss": lambda step: "NaN"})
        visit.until("document.querySelector('#status').textContent.includes('Loss not finite')")


def test_an_update_keeps_focus_selection_and_scroll(chromium, run, rank):
    seen = (
        "[document.activeElement.title, String(getSelection()),"
        " Math.round(document.activeElement.getBoundingClientRect().top)]"
    )
    with Visit(chromium, address(run), width=360) as visit:
        visit.page.locator(".key-card").nth(30).focus()
        visit.do("getSelection().selectAllChildren(document.querySelector('#run-name'))")
        visit.do("scrollBy(0, 100)")
        before = visit.do(seen)
        fill(rank, range(50, 60), **KEYS)
        visit.until("document.querySelector('#run-facts').textContent.includes('59')")
        assert visit.do(seen) == before
        assert before[:2] == ["layers/28/norm", "pretrain"]


def test_a_password_guards_the_page(chromium, tmp_path, rank):
    fill(rank, range(3), loss=float)
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(json.dumps({"basic_auth_users": {"alice": hashed}}))
    guarded = serving.Exporter(tmp_path / "records", "--web.config.file", tmp_path / "web.yml")
    guarded.start()
    try:
        for path in ("/", "/assets/main.js", "/api/v1/runs", "/api/v1/history"):
            until(lambda path=path: guarded.status(path) == 401)
        credentials = {"username": "alice", "password": "secret"}
        with Visit(chromium, guarded.url, http_credentials=credentials) as visit:
            visit.until("document.querySelector('#runs tbody .name')?.textContent === 'r'")
    finally:
        guarded.__exit__()


WATCH = """() => {
  window.changed = { added: 0, removed: 0, texts: 0 };
  new MutationObserver((list) => {
    for (const each of list) {
      const elements = (nodes) => [...nodes].filter((node) => node.nodeType === 1).length;
      changed.added += elements(each.addedNodes);
      changed.removed += elements(each.removedNodes);
      changed.texts += each.type === "characterData";
    }
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


def test_an_update_of_200_runs_of_50_keys_patches_text_alone(chromium, tmp_path):
    """The time is told by benchmarks/bench_page.py; here, that nothing is built anew."""
    directories = [tmp_path / "records" / f"node_{n // 8}" / f"rank_{n % 8}" for n in range(200)]
    for n, directory in enumerate(directories):
        fill(directory, range(5), run=f"r{n:03}", **KEYS)
    with serving.Exporter(tmp_path / "records") as exporter:
        until(lambda: len(ranks_of(exporter)) == 200)
        with Visit(chromium, exporter.url) as visit:
            assert visit.page.locator("#runs tbody tr").count() == 200
            visit.do(WATCH)
            for n, directory in enumerate(directories):
                fill(directory, range(5, 7), run=f"r{n:03}", **KEYS)
            steps = visit.page.locator("#runs tbody .c-step")
            until(lambda: steps.all_text_contents() == ["6"] * 200)
            changed = visit.do("changed")
            assert (changed["added"], changed["removed"]) == (0, 0)
            assert 400 <= changed["texts"] <= 6_000
            assert visit.page.locator("#runs svg path.line[d]").count() < 50  # those in sight
