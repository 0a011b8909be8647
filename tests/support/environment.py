# SPDX-License-Identifier: Apache-2.0
"""The environment of the processes that tests start."""

import os


def clean_environ():
    """This process's environment without anything that would steer the hook or wandb."""
    steering = ("PRIMUS_LENS_", "WANDB_", "SLURM_", "PYTHONPATH", "PYTEST_", "RANK", "LOCAL_RANK")
    return {k: v for k, v in os.environ.items() if not k.startswith(steering)}
