# SPDX-License-Identifier: Apache-2.0
"""Turns the ranks' JSONL files into Prometheus series.

`reading` finds and decodes what was written; `series` keeps the newest values, which `serving`
and `live` show; `remote_write` and `backfill` take every value; `pods` knows who a pod is, and
`model` holds what all of them agree on. Whatever a file holds, no scrape fails for it: it is
counted and the rest goes on. Which part may import which stands in pyproject.toml.
"""
