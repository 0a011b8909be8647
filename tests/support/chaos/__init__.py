# SPDX-License-Identifier: Apache-2.0
"""Chaos run of the exporter: an hour of a node's life in minutes, checked from Prometheus' answers.

Real trainings (the hook's own recording), a real exporter, a real Prometheus that scrapes it with
the project's alerts, and a second one that takes its remote write. `acts` are what happens to
them, `plan` draws them from a seed, `oracle` knows from the trainings' own logs what was written,
and `promises` compare that with what the two Prometheus answer. It must never ask the exporter's
code what is right.
"""
