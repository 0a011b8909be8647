# SPDX-License-Identifier: Apache-2.0
"""Grafana's boards as code: `make boards` writes the chart's JSON and their page in docs/.

For developers only: not in the wheel, and never loaded by what runs.
"""
