# SPDX-License-Identifier: Apache-2.0
"""What README and docs say to paste works as it stands, but for pip: these packages are here."""

import json
import re
import subprocess
import sys
from pathlib import Path

from support.environment import clean_environ
from support.repository import ROOT
from support.serving import free_port

INSTALLATION = ("python3 -m venv", "pip install")


def laptop():
    """The commands of "On a laptop", without the installation."""
    section = (ROOT / "README.md").read_text().split("\n## On a laptop\n")[1]
    lines = re.search("```sh\n(.*?)```", section, re.DOTALL)[1].splitlines()
    assert [line for line in lines if line.startswith(INSTALLATION)] == lines[:2]
    return "\n".join(lines[2:])


def test_the_block_for_a_laptop_pasted(tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    block = laptop().replace("10471", str(free_port()))
    done = subprocess.run(
        ["bash", "-e", "-c", f"trap 'kill %1' EXIT\n{block}"],
        cwd=tmp_path,
        env={**clean_environ(), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r'^primus_lens_wandb_metric{.*key="train/loss"} ', done.stdout, re.MULTILINE)


def rank_of_torchrun(tmp_path, rank):
    program = (ROOT / "docs" / "training.md").read_text().split("```python\n")[1].split("```")[0]
    launcher = {"WANDB_RUN_ID": "llama-7b-3", "RANK": str(rank), "LOCAL_RANK": str(rank)}
    records = {"PRIMUS_LENS_WANDB_OUTPUT_PATH": str(tmp_path / "metrics")}
    quiet = {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**clean_environ(), **launcher, **records, **quiet},
        check=True,
        timeout=60,
    )
    path = tmp_path / "metrics" / "node_0" / f"rank_{rank}" / "wandb_metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_ranks_of_one_id_are_one_run_and_one_of_them_sends_it(tmp_path):
    ranks = [rank_of_torchrun(tmp_path, rank) for rank in (0, 1)]
    assert {record["run"] for rank in ranks for record in rank} == {"llama-7b-3"}
    assert [[record["step"] for record in rank] for rank in ranks] == [list(range(100))] * 2
    assert len(list(tmp_path.glob("wandb/*run-*"))) == 1
