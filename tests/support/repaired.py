# SPDX-License-Identifier: Apache-2.0
"""The model of wandb with the step fix in it, and what of a training its rows have."""

import types
from collections import Counter

from primus_lens_hook import patch
from primus_lens_hook.recording.recorder import Recorder
from primus_lens_hook.settings import Settings
from primus_lens_hook.step_fix.limits import Limits
from primus_lens_hook.step_fix.manager import StepFix

from support import native_model

KEYS = ("a", "b", "c.d")
FOREVER = 3600.0


def repaired(recorder=None, mark=None, **bounds):
    """A `Run` class of the model with the step fix in it; nothing waits for a clock."""

    class Run(native_model.Run):
        pass

    limits = Limits(**{"flush_interval": FOREVER, **bounds})
    step_fix = StepFix(limits, {}, mark or {})
    hook = patch.Hook(recorder or Recorder(Settings()), step_fix)
    patch.apply(types.SimpleNamespace(Run=Run), hook)
    return Run, step_fix


def overdue(step_fix):
    for run in step_fix._runs:
        run.flush_overdue(float("inf"))


def user_rows(run):
    return [{k: v for k, v in row.items() if k in KEYS} for row in run.rows]


def values_of(rows):
    return Counter(value for row in rows for value in row.values())
