# SPDX-License-Identifier: Apache-2.0
"""The webhook's certificates: the authority that API servers trust, and a leaf for each replica.

`authority` creates and signs certificates; `secret` shares the authority between replicas and
rotates it; `bundle` publishes it to API servers; `manager` runs these in a thread of its own.
`files` reads a certificate that somebody else rotates, such as cert-manager. There is no leader.
"""
