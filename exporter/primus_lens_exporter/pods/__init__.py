# SPDX-License-Identifier: Apache-2.0
"""Who a pod is, by its UID, as the Kubernetes API tells it.

`request` asks, `wire` decodes what comes back, `pod`, `workload` and `labels` make of it what
the series need; `watch` keeps the `cache` true in a thread of its own and counts in
`telemetry`; `silent` tells of the pods of which nothing is read. Whatever the API does or says,
the exporter goes on with what it knows.
"""
