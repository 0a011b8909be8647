# SPDX-License-Identifier: Apache-2.0
"""Turns the ranks' JSONL files into Prometheus series.

`sources` finds rank directories; `tail` reads whole lines, `decode` makes records of
them; `store` keeps the newest values as text that is ready but for the numbers; `follow`
drives these; `web` serves the page. Whatever a file holds, no scrape fails for it: it is
counted in `telemetry` and the rest goes on.
"""
