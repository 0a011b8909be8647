# SPDX-License-Identifier: Apache-2.0
"""docs/architecture.md is as the code is: its picture, and the files that it names."""

import re

import draw_architecture
from support.repository import ROOT

PARTS = ("hook/primus_lens_hook", "exporter/primus_lens_exporter", "webhook/primus_lens_webhook")


def test_the_picture_is_drawn_from_the_imports():
    text = draw_architecture.PAGE.read_text()
    assert draw_architecture.drawn(text) == text, "run `make docs`"


def test_every_file_that_is_named_exists():
    text = draw_architecture.PAGE.read_text()
    named = {name.rpartition("…/")[2] for name in re.findall(r"`([\w./…]+\.py)`", text)}
    there = {name for name in named if any((ROOT / part / name).exists() for part in PARTS)}
    assert len(named) > 15
    assert named == there
