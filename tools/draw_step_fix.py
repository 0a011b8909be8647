# SPDX-License-Identifier: Apache-2.0
"""`make docs`: what W&B has of four trainings, without and with the step fix.

Each training really runs, twice; the points are read back from wandb's own files. A point
is drawn where W&B draws it: over the axis that the training has defined for the key, or over
`primus_lens/step` where the step fix has, else over wandb's step.
"""

import tempfile

import matplotlib as mpl
import matplotlib.pyplot as plt

from support import patterns, training
from support.repository import ROOT
from support.wandb_file import axes, rows

SHOWN = (
    "callback one step late",
    "evaluation in a thread",
    "two counters",
    "transformers' axis, a late callback",
)
WAYS = {"wandb alone": {"WANDB_STEP_FIX_ENABLED": "false"}, "with the step fix": {}}
TARGET = ROOT / "docs" / "step-fix.png"
AXIS = "primus_lens/step"


def main():
    mpl.use("agg")
    mpl.rcParams.update({"font.size": 8})
    figure, panels = plt.subplots(len(SHOWN), len(WAYS), figsize=(8.5, 9), sharex="row")
    for name, line in zip(SHOWN, panels, strict=True):
        for (way, env), panel in zip(WAYS.items(), line, strict=True):
            with tempfile.TemporaryDirectory() as directory:
                script = patterns.script(patterns.PATTERNS[name])
                done = training.run(directory, script, env=env)
                draw(panel, done)
                lost = patterns.share_lost(done)
            panel.set_title(f"{name}, {way}: {lost:.0%} lost", fontsize=8)
    figure.tight_layout()
    figure.savefig(TARGET, dpi=100)
    print(f"drawn: {TARGET.relative_to(ROOT)}")


def draw(panel, done):
    """A line of points for each key: one where W&B has a value."""
    keys = list(dict.fromkeys(key for data, _ in patterns.sent(done) for key in data))
    (records,) = done.wandb
    plotted_over = axes(records)
    for height, key in enumerate(keys):
        axis = plotted_over.get(key) or plotted_over.get("*", "_step")
        steps = [row[axis] for row in rows(records) if key in row and axis in row]
        panel.eventplot(steps, lineoffsets=height, linelengths=0.6, colors=f"C{height}")
    panel.set_yticks(range(len(keys)), keys)
    panel.set_ylim(-0.7, len(keys) - 0.3)


if __name__ == "__main__":
    main()
