# SPDX-License-Identifier: Apache-2.0
"""The step fix: rows that wandb would drop reach W&B, and no other row changes.

wandb keeps one counter per run and drops, in silence, each row whose step lies below it.
Here a run is passed through untouched until the first such row. From then on its rows
wait in a short window (`sorter`), leave it in the order of the steps their callers meant,
and carry that step in a column of their own, `primus_lens/step` (`axes`), because a late
row can only have a native step that is still free.

`run` is where a log call comes in and where the fence stands, `course` decides what becomes
of it, `process` is what all runs of a process share, and `native` is the only module that
touches wandb's objects.
"""
