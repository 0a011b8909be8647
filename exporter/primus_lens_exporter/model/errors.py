# SPDX-License-Identifier: Apache-2.0
"""The base of all exceptions that the exporter defines."""


class ExporterError(Exception):
    """Its text is for the user where it ends a command: what is wrong, and what to do."""
