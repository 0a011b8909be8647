# SPDX-License-Identifier: Apache-2.0
"""What all parts of the exporter agree on: records, labels, pods, key rules and quotas.

It knows no file, no socket and no clock, and imports no other part of the exporter.
"""
