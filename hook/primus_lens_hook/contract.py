# SPDX-License-Identifier: Apache-2.0
"""Every name that crosses a process boundary, written once.

The hook writes what is named here; the exporter and the webhook read it. Of the hook they
may import this module and `mounts` only. It holds constants and nothing else.
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
ENV_ENHANCE_METRICS = ENV_PREFIX + "ENHANCE_METRICS"
ENV_STEP_FIX = "WANDB_STEP_FIX_ENABLED"
ENV_DUPLICATES = "WANDB_STEP_FIX_DUPLICATES"

# `KEY=value` lines beside the installed package, for processes that lose the variables.
CONFIG_FILE = "primus_lens_hook.env"

# Layout below the output path.
NODE_DIRECTORY = "node_{}"
RANK_DIRECTORY = "rank_{}"
OF_USER = ".u{}"  # after the node, where another user has made the rank's directory
METRICS_STEM = "wandb_metrics"
METRICS_SUFFIX = ".jsonl"
RUNS_STEM = "wandb_runs"
RUNS_SUFFIX = ".json"
STATUS_FILE = "wandb_hook.json"

# Kubernetes: how a pod or a namespace asks, and what an injected pod looks like.
LABEL = "primus-lens.io/wandb"
ANNOTATION_PREFIX = "primus-lens.io/"
STATUS_ANNOTATION = ANNOTATION_PREFIX + "status"
HOOK_VOLUME = "primus-lens-hook"  # the init container's name too
RECORDS_VOLUME = "primus-lens-records"  # holds the layout above
HOOK_MOUNT = "/opt/primus-lens"
RECORDS_MOUNT = "/var/run/primus-lens"
BOOTSTRAP = HOOK_MOUNT + "/primus_lens_hook/bootstrap"  # goes first on PYTHONPATH
EXEC = HOOK_MOUNT + "/env"  # starts a container's command, with the hook where that is possible

# One record: {"timestamp": …, "step": …, "data": {…}, "run": …}, and `"late": true` at its end
# where the training was further already: such a step is not the training's progress.
# A sample of the system is one too, with `"sample": true` at its end and no step.
# Last of all `"seq": n`: it is the n-th log call of its run that the owner of the file has written,
# in files that are deleted since and in those of earlier processes too. Files of before have none.
ROW_MARK = "_primus_lens_enabled"
NOT_A_NUMBER = "NaN"
POSITIVE_INFINITY = "Infinity"
NEGATIVE_INFINITY = "-Infinity"

# What a sample's data may hold; all of it is optional. `_percent` is 0 to 100.
# sys: of what the container may use, which is the node where nothing limits it.
SAMPLE_PREFIX = "_primus_"
SAMPLE_OF_POD = (
    "sys_cpu_percent",
    "sys_memory_percent",
    "sys_network_receive_bytes_total",
    "sys_network_transmit_bytes_total",
    "node_cpu_percent",
    "node_memory_used_bytes",
    "node_memory_total_bytes",
    "node_disk_read_bytes_total",
    "node_disk_written_bytes_total",
    "container_cpu_seconds_total",
    "container_cpu_limit_cores",
    "container_memory_used_bytes",
    "container_memory_limit_bytes",
)
SAMPLE_OF_PROCESS = (  # of the tree of processes that the rank is
    "process_count",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_threads",
    "process_open_fds",
    "process_read_bytes_total",
    "process_written_bytes_total",
)
SAMPLE_OF_GPU = (  # as gpu_{index}_{name}; uuid and name are texts
    "util",  # percent
    "uuid",
    "name",
    "memory_used_bytes",
    "memory_total_bytes",
    "power_watts",
    "temperature_celsius",
    "sm_clock_hertz",
    "memory_clock_hertz",
    "ecc_errors_total",  # uncorrected, since the driver was loaded
    "xid_errors_total",  # since sampling began
)
