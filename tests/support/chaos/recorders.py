# SPDX-License-Identifier: Apache-2.0
"""How a training records: by the hook's recorder alone, or by wandb with the hook.

`begin` returns a run, `write` whether its line was written; each is called in one thread.
"""

from primus_lens_hook.recording.recorder import Recorder
from primus_lens_hook.settings import Settings


class Run:
    """What the recorder looks at of wandb's run."""

    def __init__(self, run_id):
        self.id = self._run_id = run_id
        self.project, self._is_finished = "chaos", False


class Hook:
    """The recorder alone: it starts in a tenth of a second."""

    def __init__(self, root, max_bytes):
        self._recorder = Recorder(Settings(root, max_bytes=max_bytes))

    def begin(self, run_id):
        return Run(run_id)

    def write(self, run, row, step):
        before = self._lost
        self._recorder.record(run, row, step)
        return self._lost == before

    def finish(self, run):
        self._recorder.finished(run)

    @property
    def _lost(self):
        journal = self._recorder._journal
        return journal._lost() if journal else 0


class Wandb:
    """wandb offline; the environment has told the hook where to write."""

    def __init__(self, directory):
        import wandb  # noqa: PLC0415 it takes a second

        self._wandb, self._directory = wandb, directory

    def begin(self, run_id):
        return self._wandb.init(id=run_id, project="chaos", mode="offline", dir=self._directory)

    def write(self, run, row, step):
        run.log(row, step=step)
        return True

    def finish(self, run):
        run.finish()
