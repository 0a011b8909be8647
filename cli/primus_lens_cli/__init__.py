# SPDX-License-Identifier: Apache-2.0
"""The `primus-lens` command. It runs on every Python that the hook runs on.

It stands on top: it knows every part by name and imports only the one that was asked for,
so that `primus-lens hook check` needs nothing but the hook.
"""
