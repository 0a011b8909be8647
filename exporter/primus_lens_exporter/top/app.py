# SPDX-License-Identifier: Apache-2.0
"""The event loop of `primus-lens top`: answers, key presses and signals, one at a time.

Each of them is an event in one queue, so that only one thing draws at a time. However it
ends, an internal error included, the terminal must be restored.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from typing import NamedTuple

from rich.console import Console, ConsoleDimensions
from rich.live import Live

from primus_lens_exporter.live.schema import Snapshot
from primus_lens_exporter.top.client import Client, Trouble
from primus_lens_exporter.top.keyboard import Keyboard, Keys
from primus_lens_exporter.top.model import Model
from primus_lens_exporter.top.screen import Screen

# Sequences come in one piece, or a network apart: what is longer in coming was Esc alone.
ESCAPE_SECONDS = 0.1
READ_BYTES = 4096
ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class End(NamedTuple):
    """The event that ends it all."""

    status: int


Event = Snapshot | Trouble | bytes | End | None
"""An answer or none, bytes from the keyboard (none: nothing has followed), the end, a redraw."""


class App:
    """One screen, from its first picture to its last."""

    def __init__(self, client: Client, first: Snapshot, interval: float, console: Console) -> None:
        self._client = client
        self._interval = interval
        self._console = console
        self._model = Model(first, time.time())
        self._screen = Screen(client.shown, self._model)
        self._keys = Keys()
        self._input = sys.stdin.fileno()
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._escape: asyncio.TimerHandle | None = None
        self._terminal = contextlib.ExitStack()

    async def run(self) -> int:
        """Show until told to end; the terminal is then as it was. Returns the exit status."""
        put = self._events.put_nowait
        self._loop.add_signal_handler(signal.SIGINT, put, End(0))
        for each in ENDS:
            self._loop.add_signal_handler(each, put, End(128 + each))
        self._loop.add_signal_handler(signal.SIGWINCH, put, None)
        self._loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        try:
            self._open()
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(self._ask())
                status = await self._follow()
                asking.cancel()
            return status
        finally:
            with contextlib.suppress(OSError):  # the terminal itself has gone
                self._terminal.close()

    def _open(self) -> None:
        self._terminal.enter_context(Keyboard(self._input))
        live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live = self._terminal.enter_context(live)
        self._loop.add_reader(self._input, self._read)
        self._terminal.callback(self._loop.remove_reader, self._input)
        self._events.put_nowait(None)

    def _suspend(self) -> None:
        """Ctrl-Z: the shell gets its terminal back as it was, and gives it to us again."""
        self._terminal.close()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._open()

    def _read(self) -> None:
        try:
            data = os.read(self._input, READ_BYTES)
        except OSError:
            data = b""
        if not data:  # the terminal has gone, and would say so for ever
            self._loop.remove_reader(self._input)
        self._events.put_nowait(data or End(128 + signal.SIGHUP))

    async def _ask(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                self._events.put_nowait(await self._client.runs())
            except Trouble as trouble:
                self._events.put_nowait(trouble)

    async def _follow(self) -> int:
        while True:
            event = await self._events.get()
            if isinstance(event, End):
                return event.status
            if self._take(event):
                return 0
            if self._events.empty():
                self._draw()

    def _take(self, event: Snapshot | Trouble | bytes | None) -> bool:
        """Returns whether a key says to end."""
        model = self._model
        if isinstance(event, bytes):
            return any(model.press(key) for key in self._typed(event))
        if isinstance(event, Trouble):
            model.trouble = str(event)
        elif event is not None and not model.paused:
            model.snapshot, model.seen, model.trouble = event, time.time(), ""
        return False

    def _typed(self, data: bytes) -> list[str]:
        if self._escape is not None:
            self._escape.cancel()
        keys = self._keys.feed(data) if data else self._keys.rest()
        if self._keys.unsure:
            self._escape = self._loop.call_later(ESCAPE_SECONDS, self._events.put_nowait, b"")
        return keys

    def _draw(self) -> None:
        try:
            # Asked each time: rich would rather believe LINES and COLUMNS of the environment.
            columns, lines = os.get_terminal_size(self._input)
            self._console.size = ConsoleDimensions(columns or 80, lines or 24)
            self._live.update(self._screen, refresh=True)
        except OSError:  # the terminal has gone
            self._events.put_nowait(End(128 + signal.SIGHUP))
