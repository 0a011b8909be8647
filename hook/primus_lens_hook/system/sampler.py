# SPDX-License-Identifier: Apache-2.0
"""A thread that samples the machine every few seconds, as long as a run is unfinished.

It must never cost a log call anything, nor hold up the training or its exit: all that may
be slow or hang, the imports and a driver's first answer too, is done in this thread alone.
"""

# Measured: NVML within each log call, as others do it, costs 850 microseconds of CPU a call.

from __future__ import annotations

import importlib
import os
import threading
from typing import Any, Callable, Dict, List, Optional

from primus_lens_hook import contract
from primus_lens_hook.fork_safe_lock import holding
from primus_lens_hook.interruption import is_interruption, start, suppress
from primus_lens_hook.system import Sample
from primus_lens_hook.warn_once import describe, warn_once

INTERVAL = 5.0  # seconds between two samples
PATIENCE = 1.0  # seconds that a fork waits for a source at most
SOURCES = ("host", "cgroup", "nvidia", "amd")  # of two values of one name the later source's stays
ON_ROWS = ("sys_cpu_percent", "sys_memory_percent")  # and each GPU's util


class Sampler:
    """The sources of one process, and the thread that reads them."""

    def __init__(
        self,
        write: Callable[[Sample, Sample], None],
        columns: Dict[str, Any],
        report: Callable[[Dict[str, Any]], None],
    ) -> None:
        self._write = write  # a sample, and those of its values that go on rows
        self._columns = columns  # where those are put; other keys in it stay
        self._report = report  # called with the sources whenever they change
        self._on_rows: Sample = {}
        self._sources: Optional[List[Any]] = None  # kept from run to run, for their totals
        self._faults: Dict[str, str] = {}
        # One thread at most, also if it hangs while runs come and go.
        self._thread: Optional[threading.Thread] = None
        self._pause = threading.Event()
        self._lock = threading.RLock()
        # While a source is at work. A child that is forked just then would find an import, the
        # loader of libraries or a driver locked for ever: a fork waits a moment, if none hangs.
        self._busy = threading.RLock()
        self._hangs = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before_fork,
                after_in_parent=self._after_fork,
                after_in_child=self._in_child,
            )

    @holding("_lock")
    def start(self) -> None:
        """Sample from now on. Never raises."""
        self._pause.clear()
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="primus-lens-sampler", daemon=True)
            # Before it begins: a signal handler may come past the lock and start one meanwhile.
            # The thread that is not this one ends.
            self._thread = thread
            try:
                start(thread)
            except RuntimeError as error:  # as many as the container may have
                self._thread = None
                if is_interruption(error):
                    raise
                self._note("the sampler", error)

    @holding("_lock")
    def stop(self) -> None:
        """Sample no more, and take our values off the rows. Waits for nothing."""
        self._pause.set()
        self._show({})

    def _before_fork(self) -> None:
        if not self._hangs:
            self._hangs = not self._busy.acquire(timeout=PATIENCE)

    def _after_fork(self) -> None:
        with suppress(RuntimeError):  # it was not acquired
            self._busy.release()

    def _in_child(self) -> None:
        self._busy = threading.RLock()
        self._show({})  # without the lock, which the thread may have held

    def _run(self) -> None:
        try:
            if self._sources is None:
                self._sources = self._find()
            while not self._ends():
                if not self._pause.wait(INTERVAL):
                    self._sample(self._sources)
        except Exception as fault:  # our own, as no source's gets here
            self.stop()
            self._note("the sampler", fault)

    @holding("_lock")
    def _ends(self) -> bool:
        # Under the lock: a run may begin just now.
        this = threading.current_thread()
        if self._thread is this and self._pause.is_set():
            self._thread = None
        return self._thread is not this

    def _find(self) -> List[Any]:
        found = []
        for name in SOURCES:
            try:
                with self._busy:
                    source = importlib.import_module("primus_lens_hook.system." + name).find()
                found += [source] if source is not None else []
            except Exception as error:
                self._note(name, error)
        self._report_sources(found)
        return found

    def _sample(self, sources: List[Any]) -> None:
        sample: Sample = {}
        self._hangs = False
        for source in list(sources):
            try:
                with self._busy:
                    sample.update(source.read())
            except Exception as error:
                sources.remove(source)
                self._note(source.name, error)
                self._report_sources(sources)
        named = {contract.SAMPLE_PREFIX + name: value for name, value in sample.items()}
        on_rows = {
            contract.SAMPLE_PREFIX + name: value
            for name, value in sample.items()
            if name in ON_ROWS or name.endswith("_util")
        }
        if self._puts_on_rows(on_rows):
            # Without the lock: start and stop are called within its own.
            self._write(named, on_rows)

    @holding("_lock")
    def _puts_on_rows(self, on_rows: Sample) -> bool:
        if self._pause.is_set():  # the last run has finished meanwhile
            return False
        self._show(on_rows)
        return True

    def _show(self, on_rows: Sample) -> None:
        # One call each: a thread that logs copies the dict meanwhile.
        for gone in set(self._on_rows).difference(on_rows):
            self._columns.pop(gone, None)
        self._columns.update(on_rows)
        self._on_rows = on_rows

    def _note(self, name: str, error: Exception) -> None:
        self._faults[name] = describe(error)
        warn_once("system " + name, "no system metrics of %s: %s" % (name, self._faults[name]))

    def _report_sources(self, sources: List[Any]) -> None:
        names = [source.name for source in sources]
        # A copy: a thread that logs may write the report while this one notes another fault.
        self._report({"system": names, "system_faults": dict(self._faults)})
