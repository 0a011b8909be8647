# SPDX-License-Identifier: Apache-2.0
"""Turns the ranks' JSONL files into Prometheus series.

`reading` finds and decodes what was written; `series` keeps the newest values, which `page`
and `web` serve; `remote_write` and `backfill` take every value; `pods` knows who a pod is.
Whatever a file holds, no scrape fails for it: it is counted in `telemetry` and the rest
goes on.
"""
