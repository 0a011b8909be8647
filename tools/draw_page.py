# SPDX-License-Identifier: Apache-2.0
"""`make docs`: the live page's pictures, of trainings that really run.

Four ranks of the demo's example, two of a model of letter pairs whose evaluation is a step late,
and a regression whose learning rate is too high. They take some minutes.
"""

import contextlib
import os
import tempfile
from pathlib import Path

from primus_lens_demo import training
from primus_lens_demo.processes import running

from support import browser, serving
from support.repository import ROOT
from support.serving import until

TARGET = ROOT / "docs" / "images"
STEPS = 2_000  # of the demo's example
TIMEOUT = 1_200

BIGRAMS = f"""
import os, time
import numpy as np
import wandb

text = open({str(ROOT / "docs" / "exporter.md")!r}).read()
letters = sorted(set(text))
codes = np.array([letters.index(letter) for letter in text])
rng = np.random.default_rng(int(os.environ["RANK"]))
table = np.zeros((len(letters), len(letters)))

def loss_of(before, after):
    logits = table[before]
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    return chances, -np.log(chances[np.arange(len(after)), after]).mean()

wandb.init(project="letters", name="pairs, late evaluation", entity="docs", group="baseline")
for step in range(100_000):
    at = rng.integers(len(codes) - 1, size=4096)
    chances, loss = loss_of(codes[at], codes[at + 1])
    rate = 20 / (1 + step / 400)
    chances[np.arange(len(at)), codes[at + 1]] -= 1
    gradient = np.zeros_like(table)
    np.add.at(gradient, codes[at], chances / len(at))
    table -= rate * gradient
    norm = np.sqrt((gradient**2).sum())
    row = {{"train/loss": loss, "train/learning_rate": rate, "train/grad_norm": norm}}
    wandb.log(row, step=step)
    if step % 10 == 0 and step:
        wandb.log({{"eval/loss": loss_of(codes[:2000], codes[1:2001])[1]}}, step=step - 1)
    time.sleep(0.1)
"""
TOO_FAST = """
import time
import numpy as np
import wandb

rng = np.random.default_rng(0)
inputs = rng.normal(size=(512, 8))
outputs = inputs @ rng.normal(size=8)
weights = np.zeros(8)
np.seterr(all="ignore")
wandb.init(project="regression", name="learning rate 6", entity="docs")
for step in range(100_000):
    error = inputs @ weights - outputs
    weights -= 6 * inputs.T @ error / len(inputs)
    wandb.log({"loss": (error**2).mean(), "weights/norm": np.sqrt((weights**2).sum())})
    time.sleep(0.3)
"""


def main():
    TARGET.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        records = directory / "records"
        records.mkdir()
        train(stack, directory, records)
        exporter = stack.enter_context(serving.Exporter(records))
        until(lambda: (step(exporter, "demo") or 0) > STEPS * 0.8, TIMEOUT)
        chromium = stack.enter_context(browser.chromium())
        draw(chromium, exporter)


def train(stack, directory, records):
    """Start all ranks; they end with the stack."""
    training.start(stack, ROOT / "examples" / "train.py", STEPS, records, directory)
    scripts = [("bigrams", BIGRAMS, 0), ("bigrams", BIGRAMS, 1), ("too_fast", TOO_FAST, 2)]
    for name, code, rank in scripts:
        own = directory / f"{name}-{rank}"
        own.mkdir()
        (own / "train.py").write_text(code)
        environ = training.environment(rank, records, own)
        environ |= {"GROUP_RANK": str(2 + rank // 2), "WANDB_RUN_ID": name, "RANK": str(rank)}
        command = [os.sys.executable, own / "train.py"]
        stack.enter_context(running(command, own / "log", environ))


def step(exporter, run_id):
    """The newest step of a run, None before it has one."""
    run = browser.ranks_of(exporter).get(run_id)
    return run and run["step"]


def draw(chromium, exporter):
    of_demo, of_pairs = (browser.address(exporter, run) for run in ("demo", "bigrams"))
    charts = "?key=train%2Floss&key=train%2Fgrad_norm"
    shots = {
        "page-run-dark": (f"{of_demo}{charts}&y=log", {"color_scheme": "dark", "height": 930}),
        "page-ranks": (f"{of_demo}/ranks", {"height": 540}),
        "page-overview": (exporter.url, {"height": 440}),
        "page-run": (f"{of_pairs}{charts}", {"height": 930}),
        "page-narrow": (f"{of_pairs}?key=train%2Floss", {"width": 360, "height": 1010}),
    }
    for name, (url, options) in shots.items():
        with browser.Visit(chromium, url, **options) as visit:
            visit.updated(2)
            path = TARGET / f"{name}.png"
            visit.page.screenshot(path=path)
            print(f"drawn: {path.relative_to(ROOT)}, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
