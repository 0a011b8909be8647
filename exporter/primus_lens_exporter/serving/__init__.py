# SPDX-License-Identifier: Apache-2.0
"""What the exporter answers over HTTP: the metrics page, its own metrics, and all routes.

It only reads: no request may change what is kept, or make a scrape wait.
"""
