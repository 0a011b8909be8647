# SPDX-License-Identifier: Apache-2.0
"""Differential test of the step fix: random training programs with and without the hook.

Each program runs twice as a real process, natively (wandb alone) and hooked. What native
leaves behind is the oracle; `compare` names the rules that the hooked process must keep.
"""
