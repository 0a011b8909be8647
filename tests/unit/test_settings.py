# SPDX-License-Identifier: Apache-2.0
"""A setting that is read from the environment and then used by nobody is a promise not kept."""

import ast
import dataclasses

import pytest
from primus_lens_exporter import cli as exporter_cli
from primus_lens_exporter.settings import Settings
from primus_lens_webhook import inject_cli, settings

from support.repository import ROOT


@pytest.fixture(scope="module")
def used():
    """The attributes that the product's code reads."""
    files = [f for part in ("exporter", "webhook", "toolkit") for f in ROOT.glob(f"{part}/**/*.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("given", [Settings, settings.Settings, inject_cli.Settings])
def test_each_setting_is_used(used, given):
    names = {field.name for field in dataclasses.fields(given)}
    assert names <= used


def test_help_says_all_where_no_pattern_means_all_keys(capsys):
    with pytest.raises(SystemExit):
        exporter_cli.main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "keys that become series [default: all;" in told
    assert "of a shared volume [default: false;" in told
