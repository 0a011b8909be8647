# SPDX-License-Identifier: Apache-2.0
"""The step fix: rows that wandb would drop reach W&B, and nothing else changes.

wandb keeps one counter per run and silently drops each row whose step lies below it.
Here each call is compared with what *native* wandb, the same program without us, would do
with it. What native wandb keeps goes to the row, the step and the axes that it would have
there. What it drops joins a row of its training step that still waits (`reorder_window`),
or becomes a late row (`late_rows`) at a step that nothing else wants, with its training
step in a column of its own, `primus_lens/step`.

The state of a run, one class each:

    PassThrough ── a call that wandb would drop ──► Reordering
         │                                              │
         └── another process may log to the run: it was pickled, or a forked child logs
                                │                       │
                                ▼                       ▼
                              Shared ◄──────────────────┘

    any state ── an internal error ──► given up (`fallback`): what waits is sent, later calls
                                       are wandb's

`guard` processes the calls of a run: its lock, its state, and what to do after an error in them.
`manager` is what all runs of a process share: the switch, the timer, the exit, the fork.
`wandb_run` is the only module that touches wandb's objects; `metric_definitions`,
`axis_values` and `summary` know what native wandb's columns and summary would be.
It must never change what native wandb keeps, nor raise what native wandb would not.
"""
