# SPDX-License-Identifier: Apache-2.0
"""What the README says to paste works as it stands, but for pip: these packages are here."""

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
