# SPDX-License-Identifier: Apache-2.0
"""Samples of the system, as promtool reads them from a real exporter."""

import json
import shutil
import subprocess

import pytest
from primus_lens_exporter.model.system_metrics import MEASURES
from primus_lens_hook import contract

from support.serving import until

NAMES = (*contract.SAMPLE_OF_POD, *contract.SAMPLE_OF_PROCESS)
GPU = {"gpu_0_util": 85.0, "gpu_0_uuid": "GPU-1", "gpu_0_name": "H100", "gpu_0_power_watts": 300}
ALL = {
    **dict.fromkeys(NAMES, 1.0),
    **{f"gpu_0_{name}": 1.0 for name in contract.SAMPLE_OF_GPU},
    **GPU,
}


def test_promtool_has_nothing_to_say_of_all_that_a_sample_may_hold(exporter, rank):
    promtool = shutil.which("promtool") or pytest.skip("promtool is not installed")
    data = {contract.SAMPLE_PREFIX + name: value for name, value in ALL.items()}
    sample = {"timestamp": 1.7e9, "step": None, "data": data, "run": "r", "sample": True}
    (rank / "wandb_metrics.jsonl").write_text(json.dumps(sample) + "\n")
    until(lambda: "primus_lens_gpu_info" in exporter.page())
    page = exporter.page()
    assert [name for name in MEASURES if f"\n{name}{{" not in page] == []
    done = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
