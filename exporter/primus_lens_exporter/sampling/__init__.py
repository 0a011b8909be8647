# SPDX-License-Identifier: Apache-2.0
"""Leaves out values by the rules of one file, for those whose Prometheus is small.

`config` reads the file, `rules` finds the rule of a key, `sampler` stands between reading and
each consumer. What it must never do: change what a record says of the run (its number, time and
step), or treat one consumer other than another.
"""
