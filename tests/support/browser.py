# SPDX-License-Identifier: Apache-2.0
"""Debian's Chromium, driven by Playwright, for tests of the live page."""

import contextlib
import json
import shutil

import pytest

from support.serving import record, until

# Root's Chromium has no sandbox, containers have no GPU and little shared memory.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


@contextlib.contextmanager
def chromium():
    """A browser; skips where there is none. Its driver occupies the thread's event loop: end it
    with the module that began it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One page, looked at. Leaving it fails if it opened a dialog or complained on the console,
    as it does of an error, and of each violation of the content security policy."""

    def __init__(self, browser, url, *, width=1280, height=800, quiet=True, **context):
        self.context = browser.new_context(viewport={"width": width, "height": height}, **context)
        self.page = self.context.new_page()
        self.complaints = []
        self.quiet = quiet
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(error.stack))
        self.page.on("dialog", self._dialog)
        self.url = url

    def __enter__(self):
        self.page.goto(self.url)
        self.updated()
        return self

    def __exit__(self, kind, *_):
        self.context.close()
        if kind is None and self.quiet:
            assert self.complaints == []

    def _dialog(self, dialog):
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def do(self, script, argument=None):
        """What a JavaScript expression gives in the page."""
        return self.page.evaluate(script, argument)

    def updated(self, more=1):
        """Wait for so many more updates."""
        goal = int(self.do("document.documentElement.dataset.updates ?? 0")) + more
        self.until("goal => document.documentElement.dataset.updates >= goal", goal)

    def until(self, script, argument=None):
        """Wait until an expression is true. (Playwright's own waiting evaluates text in the page,
        which the content security policy forbids.)"""
        until(lambda: self.do(script, argument))

    def text(self, selector):
        return self.page.locator(selector).first.text_content()

    def overflow(self):
        """By how many pixels the page is wider than its window."""
        root = "document.documentElement"
        return self.do(f"{root}.scrollWidth - {root}.clientWidth")

    def plotted(self, chart=0):
        """The columns that uPlot draws: xs, then ys of each rank."""
        return self.do("n => document.querySelectorAll('.plot')[n].uplot.data", chart)


def ranks_of(exporter):
    """By run id: the run, as the exporter's JSON has it."""
    with exporter.get("/api/v1/runs") as response:
        return {run["run_id"]: run for run in json.load(response)["runs"]}


def address(exporter, run_id="r", rest=""):
    """Where a run is on the page, as soon as the exporter knows it."""
    run = until(lambda: ranks_of(exporter).get(run_id))
    return f"{exporter.url}/#/run/{run['id']}{rest}"


def fill(directory, steps, run="r", start=1_700_000_000, **values):
    """Append so many records to a rank; `values` are functions of the step."""
    rows = (
        record(
            step=step, run=run, timestamp=start + step, **{k: of(step) for k, of in values.items()}
        )
        for step in steps
    )
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "wandb_metrics.jsonl").open("ab") as file:
        file.write(b"".join(rows))


def name(directory, run="r", **facts):
    """What W&B calls a run."""
    (directory / "wandb_runs.json").write_text(json.dumps({run: facts}))
