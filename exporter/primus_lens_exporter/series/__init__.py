# SPDX-License-Identifier: Apache-2.0
"""The newest value of every series as text that is ready but for the numbers. Pure.

`store` takes records, `run_series` makes the series of one run, `system_series` those of samples
of the system; `metric_family` renders them.
"""
