# SPDX-License-Identifier: Apache-2.0
"""What the Dockerfile says must agree with the rest; that it builds is seen on a cluster."""

import re

import pytest

from support import matrix
from support.repository import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
BASE = "3.11"


@pytest.mark.parametrize("version", sorted({cell.python for cell in matrix.MATRIX} - {BASE}))
def test_each_python_that_is_tried_has_its_byte_code_in_the_image(version):
    assert f"FROM ${{PYTHON_{version.replace('.', '_')}_IMAGE}} AS python-{version}\n" in DOCKERFILE
    assert f"COPY --from=python-{version} /payload /payload\n" in DOCKERFILE
    assert f":-python:{version}-slim" in DOCKERFILE


def test_whatever_is_packaged_reaches_the_build():
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    packages = re.search(r"^packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(),
                         re.MULTILINE | re.DOTALL)[1]  # fmt: skip
    copied = re.findall(r"^COPY (?!--from)([^.]\S*)", DOCKERFILE, re.MULTILINE)
    needed = [*re.findall(r'"([^"]+)"', packages), *copied, "requirements"]
    assert len(copied) >= 4
    assert {path.partition("/")[0] for path in needed} <= allowed


def test_the_user_is_a_number_that_is_not_root():
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["65532:65532"]
