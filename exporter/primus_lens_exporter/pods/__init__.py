# SPDX-License-Identifier: Apache-2.0
"""Who a pod is, by its UID, as the Kubernetes API tells it.

`informer` lists and watches the pods in a thread of its own and keeps `cache` up to date:
`request` asks, `decoder` reads pages and events, `document`, `workload` and `series_labels` read
a pod. Whatever the API does or says, the exporter must go on with what it knows.
"""
