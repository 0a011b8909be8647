# SPDX-License-Identifier: Apache-2.0
"""How another HTTP server is asked: its URL, credentials and TLS, as Prometheus has them.

No message may show a secret, and no redirect is followed.
"""
