# SPDX-License-Identifier: Apache-2.0
"""What daemons and commands share: flags, logs, an HTTP server, TLS, the way to Kubernetes.

It knows neither of them, nor the hook: anything about records or pods is out of place here.
"""
