# SPDX-License-Identifier: Apache-2.0
"""The webhook's TLS: whom API servers trust, and how each replica comes to its certificate.

`authority` makes certificates; `secret` shares the authority between replicas and succeeds it;
`bundle` tells API servers of it; `keeper` does all that in a thread of its own. `files` is for
those who have a certificate already, cert-manager's for instance. No replica leads.
"""
