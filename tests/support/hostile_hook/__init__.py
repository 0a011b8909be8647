# SPDX-License-Identifier: Apache-2.0
"""Stress test of the hook: random lives of a process, with wandb alone and with the hook.

A life is a short program of `actions` in a place that may be hostile: its file system is full,
frozen or not writable, its descriptors are closed, its code raises, forks and is killed. It runs
twice as a real process; how it ends natively is right by definition (`compare`).
"""
