# SPDX-License-Identifier: Apache-2.0
"""What the hook writes below the output path: records, runs and its own status.

It must never raise into a log call, and never keep wandb from seeing one.
"""
