# SPDX-License-Identifier: Apache-2.0
"""Remote write, 1.0 and 2.0: settings, and the requests of Prometheus' own protocol.

What is not the protocol's (spool, retries, the client) is in `sending`.
"""
