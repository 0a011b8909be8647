# SPDX-License-Identifier: Apache-2.0
"""What the exporter promises, each a module that compares the answers with what was written."""

from support.chaos.promises import alerts, counts, ended, health, present, sent, values

PROMISES = (sent, counts, ended, values, present, alerts, health)
NAMES = {module.__name__.rpartition(".")[2]: module for module in PROMISES}


def broken(world, answers):
    """All findings."""
    return [each for module in PROMISES for each in module.check(world, answers)]
