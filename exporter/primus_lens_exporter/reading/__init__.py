# SPDX-License-Identifier: Apache-2.0
"""From what others write on disk to decoded records, for whoever consumes them.

`sources` find volumes, a `volume` finds ranks, `rank` reads the `segments` of one through
`tail`, and `follow` drives them four times a second. Everything is opened through `safe_open`;
what a `tenant` may cost is bounded. Nothing in here knows what becomes of the records.
"""
