# SPDX-License-Identifier: Apache-2.0
"""The newest value of every series as text that is ready but for the numbers. Pure.

`store` takes records, `runseries` makes the series of one run, `systemseries` those of samples
of the system, which `system` names; `family` renders them.
"""
