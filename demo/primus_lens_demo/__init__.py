# SPDX-License-Identifier: Apache-2.0
"""`primus-lens demo`: the whole path, from an unmodified script to a PromQL answer.

It starts what a user would start (ranks, exporter, Prometheus) as processes of their own
and looks at them from outside, through HTTP alone.
"""
