# SPDX-License-Identifier: Apache-2.0
"""Puts the hook into pods that ask for it: as an admission webhook, and as `primus-lens inject`.

The core is pure: a pod as raw JSON goes in, RFC 6902 operations and a decision come out.
`select` says whether and into which containers, `inject` what is done to the pod, `review`
how the API server asks and is answered. `app` alone wires them to sockets, certificates and
the API. Whatever goes wrong here, the pod is created, at worst without the hook.
"""
