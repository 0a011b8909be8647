# SPDX-License-Identifier: Apache-2.0
"""Asks a real exporter what the live page asks it."""

import json
import urllib.parse

from support.serving import until


def ask(exporter, path, **query):
    """The JSON at a path below /api/v1."""
    question = urllib.parse.urlencode(query, doseq=True)
    with exporter.get(f"/api/v1/{path}?{question}", **{"Accept-Encoding": "identity"}) as response:
        assert response.headers["Cache-Control"] == "no-store"
        return json.load(response)


def runs(exporter, count=1):
    """Its runs, once there are so many."""
    return until(lambda: len(found := ask(exporter, "runs")["runs"]) == count and found)


def history(exporter, run=0, rank=0, **query):
    """What one rank's files hold of a run."""
    return ask(exporter, "history", id=runs(exporter, run + 1)[run]["ranks"][rank]["id"], **query)
