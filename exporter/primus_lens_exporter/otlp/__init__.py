# SPDX-License-Identifier: Apache-2.0
"""OTLP metrics over HTTP: settings, and the requests of OpenTelemetry's protocol.

What is not the protocol's (spool, retries, the client) is in `sending`.
"""
