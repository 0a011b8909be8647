# SPDX-License-Identifier: Apache-2.0
"""What the exporter and the webhook share: flags, logs, an HTTP server that starts well.

It knows neither of them, nor the hook: anything about records or pods is out of place here.
"""
