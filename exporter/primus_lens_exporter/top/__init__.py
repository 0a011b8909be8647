# SPDX-License-Identifier: Apache-2.0
"""`primus-lens top`: the runs of an exporter, in a terminal.

It is a client of the exporter's HTTP API and reads nothing else, so it works for anybody
who may ask the exporter. What comes from there was named by hostile pods: `text` makes it
harmless, and nothing gets to the terminal by another way.
"""
