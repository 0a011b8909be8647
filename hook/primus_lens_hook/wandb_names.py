# SPDX-License-Identifier: Apache-2.0
"""Which names of wandb the parts of the hook rest on, and what is wrong with them in this wandb.

Most of them are private. Where one is gone, or has another signature, the part that rests on it
is declined: it leaves wandb alone, and the others go on. Nothing here changes anything of wandb's.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping
from typing import Any, List, Optional, Tuple

from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.wandb_step import counter_of

# The parts, as wandb_hook.json names them.
RECORDS = "records"
WATCH = "watch"
DISABLED_RUNS = "disabled_runs"
FINISH = "finish"
STEP_FIX = "step_fix"
LATE_MEDIA = "late_media"
TENSORBOARD = "tensorboard"

NO_DICT = "no Run.__dict__"

LOG = ("data", "step", "commit")
DEFINE = ("name", "step_metric", "step_sync", "hidden", "summary")
RECORD = (None,)  # whatever it is called, it is the only one that has to be given

# The public one, what it and `with` call, and what some versions call at exit for a run that was
# not finished. Not each wandb has each of them; one is enough.
FINISHING = ("finish", "_finish", "_atexit_cleanup", "__exit__")

Parameters = Optional[Tuple[Optional[str], ...]]


def lack_of_method(
    run_class: Any, name: str, parameters: Parameters = None, alone: bool = True
) -> str:
    """What keeps us from wrapping a method that begins with these parameters; "" if nothing does.

    `alone` says that we call it ourselves, so that it must not demand any other argument.
    """
    found = inspect.getattr_static(run_class, name, None)
    # Python 3.11 gives each object a __getstate__, which is none of wandb's.
    if found is None or found is getattr(object, name, None):
        return "no Run.%s" % name
    if not _is_method(found):
        return "Run.%s is no method" % name
    # What it returns would have to be awaited, and a row that waits has nobody to do it.
    function = inspect.unwrap(found)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        return "Run.%s is a coroutine" % name
    return "" if parameters is None else _lack_of_parameters(found, name, parameters, alone)


def logging_method(run_class: Any) -> Tuple[str, str]:
    """The method to wrap for each log call, "" if there is none, and what is lacking."""
    # `_log`, which `log` ends in: `wandb.watch` and the mirror of tensorboard call it alone.
    # wandb 0.12.0 has `log` only.
    lacking = lack_of_method(run_class, "_log", LOG, alone=False) or _unused(run_class, "_log")
    if not lacking:
        return "_log", ""
    public = lack_of_method(run_class, "log", LOG, alone=False)
    return ("", public) if public else ("log", lacking)


def lack_of_step_fix(run_class: Any, logging: str) -> str:
    """What the step fix lacks in this class, "" if nothing."""
    # All or nothing: where a read of the summary, a definition or the end of a run does not come
    # to us, rows that wait would be missing where native wandb has them.
    if not run_class.__dictoffset__:  # our state of a run is kept in it
        return NO_DICT
    if not isinstance(getattr(run_class, "step", None), property):
        return "Run.step is no property"
    if all(lack_of_method(run_class, name) for name in FINISHING):
        return "no Run.finish"
    return (
        lack_of_method(run_class, logging, LOG)
        or lack_of_method(run_class, "define_metric", DEFINE)
        or lack_of_method(run_class, "_summary_update_callback", RECORD)
        or lack_of_method(run_class, "_summary_get_current_summary_callback")
        or lack_of_method(run_class, "__getstate__")
    )


def lack_in_run(run: Any) -> str:
    """What the step fix lacks in a run, "" if nothing: attributes that only an instance has."""
    pid = pid_of(run)
    if type(pid) is not int:
        return "no number in Run._init_pid"
    if pid != os.getpid():
        return ""  # perhaps not attached yet: nothing else is there, and nothing else is asked for
    owner, name = counter_of(run)
    if type(getattr(owner, name, None)) is not int:
        return "no number in Run._local_step"
    if hasattr(run, "_init_pid") and type(getattr(run, "_is_attached", None)) is not bool:
        return "no flag in Run._is_attached"
    patched = getattr(sys.modules.get("wandb"), "patched", None)
    if not isinstance(patched, Mapping) or "tensorboard" not in patched:
        return "no wandb.patched"
    return _lack_since_core(run) if has_core() else ""


def pid_of(run: Any) -> Any:
    """The process that began the run; it is pickled with the run, and survives a fork."""
    return getattr(run, "_init_pid", getattr(run, "_pid", None))


def has_core() -> bool:
    """Whether this wandb has wandb-core, in Go; the handler before 0.18 was Python."""
    version = str(getattr(sys.modules.get("wandb"), "__version__", ""))
    numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    # A version that cannot be read is of the future.
    return not numbers or numbers >= [0, 18]


def summary_record(path: Tuple[str, ...], value: Any) -> Any:
    """Wandb's own message that puts a value into a run's summary, below nested keys."""
    records = sys.modules["wandb.sdk.interface.summary_record"]
    item, record = records.SummaryItem(), records.SummaryRecord()
    item.key, item.value = path, value
    record.update.append(item)
    return record


def signature_of(function: Any) -> inspect.Signature:
    """The signature of a function; raises TypeError or ValueError where there is none."""
    if sys.version_info < (3, 14):
        return inspect.signature(function)
    # As texts: since 3.14 annotations are evaluated when somebody asks, and those of a library may
    # name what only type checkers import.
    from annotationlib import Format  # type: ignore[import-not-found]

    return inspect.signature(function, annotation_format=Format.STRING)


def parameter_names(function: Any) -> List[str]:
    """The names of a function's parameters, in order; none where they are not known."""
    try:
        return list(signature_of(function).parameters)
    except (TypeError, ValueError) as error:
        if is_interruption(error):
            raise
        return []


def takes(function: Any, *arguments: Any, **named: Any) -> bool:
    """Whether a function can be called with these arguments."""
    try:
        signature_of(function).bind(*arguments, **named)
    except (TypeError, ValueError) as error:
        if is_interruption(error):
            raise
        return False
    return True


def _lack_since_core(run: Any) -> str:
    settings = getattr(run, "_settings", None)
    if getattr(settings, "_shared", ...) not in (True, False, None):
        return "no flag in Settings._shared"
    try:
        summary_record(("a", "b"), 0)
        known = callable(vars(run.summary)["_update_callback"]) and takes(run.summary.update, {})
    except Exception as error:  # most of these names are private: anything may be there instead
        if is_interruption(error):
            raise
        known = False
    return "" if known else "no way to the summary"


def _lack_of_parameters(function: Any, name: str, parameters: Any, alone: bool) -> str:
    try:
        there = list(signature_of(function).parameters.values())[1:]
    except (TypeError, ValueError) as error:  # of an extension module, perhaps
        if is_interruption(error):
            raise
        return "Run.%s has no signature" % name
    if _fits(there, parameters, alone):
        return ""
    bare = (str(each.replace(annotation=each.empty)) for each in there)
    return "another Run.%s(%s)" % (name, ", ".join(bare))


def _is_method(found: Any) -> bool:
    # Not the type of functions, since a compiled wandb has another. A property or a class has its
    # own meaning when it is called or read through a run.
    bound_otherwise = isinstance(found, (staticmethod, classmethod))
    return callable(found) and hasattr(type(found), "__get__") and not bound_otherwise


def _fits(found: List[inspect.Parameter], parameters: Any, alone: bool) -> bool:
    first, others = found[: len(parameters)], found[len(parameters) :]
    if len(first) < len(parameters):
        return False
    for index, (each, name) in enumerate(zip(first, parameters)):
        # With another default than None, an argument that its caller left out would be another
        # one when we pass it on.
        default = each.default is None if index else each.default is each.empty
        if (
            not default
            or each.kind is not each.POSITIONAL_OR_KEYWORD
            or name not in (None, each.name)
        ):
            return False
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return not alone or all(p.default is not p.empty or p.kind in variadic for p in others)


def _unused(run_class: Any, name: str) -> str:
    """Whether `log` has become independent of this method; only Python code tells."""
    function = inspect.unwrap(inspect.getattr_static(run_class, "log", None))
    code = getattr(function, "__code__", None)
    return "" if code is None or name in code.co_names else "Run.log does not call Run.%s" % name
