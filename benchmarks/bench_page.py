# SPDX-License-Identifier: Apache-2.0
"""What an update of the live page costs the browser's main thread: 200 runs of 50 keys, all moving.

Debian's Chromium looks at a real exporter while every run logs. "Update" is what the page measures
itself, from the answer to the patched document; "main thread" is all that Chromium did for it in
these seconds, parsing, style, layout and paint among them, divided by the number of updates.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from bench_scrape import port, serving

RUNS, KEYS, UPDATES = 200, 50, 10
GOAL_MS = 200
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


class Trainings:
    """So many runs, each on a rank of its own, that log once a second."""

    def __init__(self, root):
        self.directories = [Path(root, f"node_{n // 8}", f"rank_{n % 8}") for n in range(RUNS)]
        for directory in self.directories:
            directory.mkdir(parents=True)
        self.ended = threading.Event()
        self.step = 0
        for _ in range(600):
            self.log(time.time() - 600 + self.step)
        self.thread = threading.Thread(target=self.go_on)
        self.thread.start()

    def go_on(self):
        while not self.ended.wait(1):
            self.log(time.time())

    def log(self, timestamp):
        self.step += 1
        data = {f"layers/{key}/norm": key + self.step / 7 for key in range(KEYS - 1)}
        data["train/loss"] = 1 / self.step
        for number, directory in enumerate(self.directories):
            row = {
                "timestamp": timestamp,
                "step": self.step,
                "data": data,
                "run": f"run{number:03}",
            }
            with (directory / "wandb_metrics.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")

    def end(self):
        self.ended.set()
        self.thread.join()


def measure(page, url):
    """Medians of the page's own measure, and of all that the main thread did, in milliseconds."""
    page.goto(url)
    page.reload()  # a change of the hash alone loads nothing
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    seen, own, busy = 0, [], []
    before = None
    while len(own) < UPDATES:
        time.sleep(0.1)
        now = page.evaluate("({...document.documentElement.dataset})")
        if int(now.get("updates", 0)) <= max(seen, 1):  # the first builds the page
            continue
        time.sleep(0.5)  # paint
        metrics = session.send("Performance.getMetrics")["metrics"]
        task = next(each["value"] for each in metrics if each["name"] == "TaskDuration")
        if before is not None:
            own.append(float(now["updateMs"]))
            busy.append(1e3 * (task - before) / (int(now["updates"]) - seen))
        seen, before = int(now["updates"]), task
    return own, busy


def report(what, own, busy):
    print(f"  {what:22} update {statistics.median(own):6.1f} ms (worst {max(own):.1f} ms)", end="")
    print(f"  main thread {statistics.median(busy):6.1f} ms an update (goal ≤ {GOAL_MS} ms)")


def look(program, url):
    from playwright.sync_api import sync_playwright

    with urllib.request.urlopen(f"{url}/api/v1/runs") as answer:
        run = json.load(answer)["runs"][0]["id"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        print(f"live page, {RUNS} runs of {KEYS} keys that all log; {version.stdout.strip()}")
        report("overview", *measure(page, f"{url}/#/"))
        report("a run's keys", *measure(page, f"{url}/#/run/{run}"))
        report("with a chart open", *measure(page, f"{url}/#/run/{run}?key=train%2Floss"))
        browser.close()


def main():
    program = shutil.which("chromium")
    if program is None:
        print("chromium is not installed: apt-get install chromium")
        return
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        print("playwright is not installed: pip install playwright")
        return
    with tempfile.TemporaryDirectory() as root:
        trainings = Trainings(root)
        listen = port()
        command = [sys.executable, "-m", "primus_lens_cli", "exporter", "--records.path", root]
        command.append(f"--web.listen-address=127.0.0.1:{listen}")
        url = f"http://127.0.0.1:{listen}"
        try:
            with serving(command, f"{url}/-/ready"):
                look(program, url)
        finally:
            trainings.end()


if __name__ == "__main__":
    main()
