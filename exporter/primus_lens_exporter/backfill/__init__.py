# SPDX-License-Identifier: Apache-2.0
"""`primus-lens backfill`: what is on disk as OpenMetrics, with the times it was logged at."""
