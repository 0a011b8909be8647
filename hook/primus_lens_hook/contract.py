# SPDX-License-Identifier: Apache-2.0
"""Every name that crosses a process boundary, written once.

The hook writes what is named here; the exporter and the webhook read it. This is
the only module of the hook that they may import. It holds constants and nothing else.
"""

from primus_lens_hook import ENV_HOOK as ENV_HOOK
from primus_lens_hook import FALSE_WORDS as FALSE_WORDS
from primus_lens_hook import TRUE_WORDS as TRUE_WORDS

# Environment of the hook.
ENV_PREFIX = "PRIMUS_LENS_WANDB_"
ENV_OUTPUT_PATH = ENV_PREFIX + "OUTPUT_PATH"
ENV_SAVE_LOCAL = ENV_PREFIX + "SAVE_LOCAL"
ENV_MARK_ROWS = ENV_PREFIX + "MARK_ROWS"
ENV_MAX_BYTES = ENV_PREFIX + "MAX_BYTES"
ENV_STEP_FIX = "WANDB_STEP_FIX_ENABLED"
ENV_DUPLICATES = "WANDB_STEP_FIX_DUPLICATES"

# `KEY=value` lines beside the installed package, for processes that lose the variables.
CONFIG_FILE = "primus_lens_hook.env"

# Layout below the output path.
NODE_DIRECTORY = "node_{}"
RANK_DIRECTORY = "rank_{}"
METRICS_STEM = "wandb_metrics"
METRICS_SUFFIX = ".jsonl"
RUNS_STEM = "wandb_runs"
RUNS_SUFFIX = ".json"
OUTCOME_FILE = "wandb_hook.json"

# Kubernetes: how a pod or a namespace asks, and what an injected pod looks like.
LABEL = "primus-lens.io/wandb"
ANNOTATION_PREFIX = "primus-lens.io/"
STATUS_ANNOTATION = ANNOTATION_PREFIX + "status"
HOOK_VOLUME = "primus-lens-hook"  # the init container's name too
RECORDS_VOLUME = "primus-lens-records"  # holds the layout above
HOOK_MOUNT = "/opt/primus-lens"
RECORDS_MOUNT = "/var/run/primus-lens"
BOOTSTRAP = HOOK_MOUNT + "/primus_lens_hook/bootstrap"  # goes first on PYTHONPATH
EXEC = HOOK_MOUNT + "/bin/exec"

# One record: {"timestamp": …, "step": …, "data": {…}, "run": …}
ROW_MARK = "_primus_lens_enabled"
NOT_A_NUMBER = "NaN"
POSITIVE_INFINITY = "Infinity"
NEGATIVE_INFINITY = "-Infinity"
