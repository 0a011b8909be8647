# SPDX-License-Identifier: Apache-2.0
"""The hook's settings: the environment variables that `contract` names, or the config file.

Read once, when wandb is imported. A value that cannot be used means the default and one warning;
it must never stop the training.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, Mapping, NamedTuple, Optional, TypeVar

from primus_lens_hook import contract
from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.warn_once import warn_once

MIN_BYTES = 64 * 1024  # a segment is a quarter of it, and has to hold a few long lines
Value = TypeVar("Value")


class Settings(NamedTuple):
    """The hook's settings, as read when wandb was imported."""

    output_path: Optional[str] = None
    """Absolute directory under which the ranks write; None: no JSONL."""

    save_local: bool = True
    """Whether log calls are written as JSONL at all."""

    mark_rows: bool = True
    """Whether W&B gets `_primus_lens_enabled` too, in a row of each process."""

    max_bytes: int = 64 * 1024 * 1024
    """Most bytes of JSONL kept per rank; the oldest segment goes first."""

    enhance_metrics: bool = False
    """Whether the system is sampled while runs go on; where no JSONL is written it is not."""

    step_fix: bool = True
    """Whether rows that wandb would drop for their step reach W&B all the same."""

    keep_duplicates: bool = False
    """Whether a key that is logged twice for one step keeps both values."""


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings; the environment wins over the config file."""
    merged = {**_config_file(), **environ}
    defaults = Settings()
    path = merged.get(contract.ENV_OUTPUT_PATH, "").strip()
    # Read while switched off: `wandb_step_fix.patch_wandb_log` asks for the step fix alone.
    on = merged.get(contract.ENV_HOOK, "").strip().lower() not in contract.FALSE_WORDS
    return Settings(
        # Absolute now: training scripts change their directory (Hydra does for each run). And no
        # shell expands ~ in the environment of a pod.
        output_path=os.path.abspath(os.path.expanduser(path)) if path else None,
        save_local=on and _parse(merged, contract.ENV_SAVE_LOCAL, _boolean, defaults.save_local),
        mark_rows=on and _parse(merged, contract.ENV_MARK_ROWS, _boolean, defaults.mark_rows),
        max_bytes=_parse(merged, contract.ENV_MAX_BYTES, _bytes, defaults.max_bytes),
        enhance_metrics=_parse(
            merged, contract.ENV_ENHANCE_METRICS, _boolean, defaults.enhance_metrics
        ),
        step_fix=_parse(merged, contract.ENV_STEP_FIX, _boolean, defaults.step_fix),
        keep_duplicates=_parse(
            merged, contract.ENV_DUPLICATES, _keep_or_last, defaults.keep_duplicates
        ),
    )


def _parse(
    values: Mapping[str, str],
    name: str,
    convert: Callable[[str], Value],
    default: Value,
) -> Value:
    text = values.get(name, "").strip()
    if not text:
        return default
    try:
        return convert(text)
    except ValueError as error:
        if is_interruption(error):
            raise
        warn_once(name, "%s=%s ignored: %s; using %s" % (name, text, error, default))
        return default


def _boolean(text: str) -> bool:
    if text.lower() in contract.TRUE_WORDS:
        return True
    if text.lower() in contract.FALSE_WORDS:
        return False
    raise ValueError("expected true or false")


def _keep_or_last(text: str) -> bool:
    if text.lower() not in ("keep", "last"):
        raise ValueError("expected last or keep")
    return text.lower() == "keep"


def _bytes(text: str) -> int:
    if not text.isdigit() or int(text) < MIN_BYTES:
        raise ValueError("expected a number of bytes, at least %d" % MIN_BYTES)
    return int(text)


def _config_file() -> Dict[str, str]:
    """`KEY=value` lines beside the package, or nothing."""
    # For processes that lose the variables: sudo, `env -i`, a launcher that passes a list of its
    # own. Beside the package is the one place that they still know.
    package = os.path.dirname(os.path.abspath(__file__))
    try:
        with open(os.path.join(os.path.dirname(package), contract.CONFIG_FILE), "rb") as file:
            # Decoded as variables are, whatever the locale: a path names the same bytes then.
            lines = os.fsdecode(file.read()).split("\n")
    except OSError as error:
        if is_interruption(error):
            raise
        return {}
    pairs = [line.partition("=") for line in lines if not line.startswith("#")]
    return {key.strip(): value.strip() for key, sign, value in pairs if sign}
