# SPDX-License-Identifier: Apache-2.0
"""Puts the hook into pods that ask for it: as an admission webhook, and as `primus-lens inject`.

The core is pure: a pod as raw JSON goes in, RFC 6902 operations and a decision come out.
`eligibility` decides whether a pod is injected and into which containers, `mutate` builds the
operations, `admission` reads and writes AdmissionReviews. Only `app` connects them to sockets,
certificates and the API. Whatever fails here, the pod is created, at worst without the hook.
"""
