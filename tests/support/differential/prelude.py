# SPDX-License-Identifier: Apache-2.0
"""Top of every generated script: wandb's calls, each with a note of what came of it.

The notes go to `notes.jsonl` beside the script, one JSON object a call, from all processes.
`source` pastes this file into the scripts, so it must run on Python 3.7 and import nothing
of the project.
"""

import json
import operator
import os

import wandb

HOOKED = os.environ.get("PRIMUS_LENS_WANDB_HOOK") != "false"
MAIN = os.environ.setdefault("DIFFERENTIAL_MAIN", str(os.getpid()))
NOTES = os.open(
    os.path.join(os.path.dirname(os.path.abspath(__file__)), "notes.jsonl"),
    os.O_WRONLY | os.O_CREAT | os.O_APPEND,
)


def note(kind, run, **what):
    known = (getattr(run, name, None) for name in ("_run_id", "_attach_id"))
    run_id = next((each for each in known if isinstance(each, str)), None) or run.id
    what.update(kind=kind, run=run_id, main=str(os.getpid()) == MAIN)
    os.write(NOTES, (json.dumps(what, default=jsonable) + "\n").encode())


def jsonable(value):
    return value._as_dict() if hasattr(value, "_as_dict") else repr(value)


def noted(kind, run, call, **what):
    """Call, and note what it returned or raised; only what is no Exception is raised again."""
    try:
        note(kind, run, answer=call(), error=None, **what)
    except Exception as error:
        note(kind, run, answer=None, error="%s: %s" % (type(error).__name__, error), **what)
    except BaseException as error:
        note(kind, run, answer=None, error=type(error).__name__, interrupted=True, **what)
        raise


def flat(data, prefix=""):
    """The numbers of a row under their dotted keys; None for everything else."""
    row = {}
    for key, value in data.items() if isinstance(data, dict) else ():
        if type(value) is dict:
            row.update(flat(value, "%s%s." % (prefix, key)))
        else:
            number = type(value) in (int, float) and abs(value) < 1e15  # no NaN either
            row["%s%s" % (prefix, key)] = value if number else None
    return row


def integer(step):
    try:
        return operator.index(step)
    except Exception:
        return int(step) if isinstance(step, float) and step == step // 1 else None


def begun(run):
    """Note where a run that is resumed goes on."""
    note("begin", run, step=getattr(run, "starting_step", 0))


def log(run, data, step=None, commit=None):
    what = {"data": flat(data), "keys": sorted(map(str, data)), "commit": commit}
    what.update(step=integer(step), explicit=step is not None)
    how = {} if step is None else {"step": step}
    if commit is not None:
        how["commit"] = commit
    noted("log", run, lambda: run.log(data, **how), **what)


def define(run, name, **how):
    noted("define", run, lambda: run.define_metric(name, **how) and None, name=name, how=how)


def read(run, how, key=None):
    summary = run.summary
    ways = {
        "item": lambda: summary[key],
        "get": lambda: summary.get(key, "nothing"),
        "in": lambda: key in summary,
        "keys": lambda: sorted(summary.keys()),
        "all": lambda: dict(summary._as_dict()),
    }
    noted("read", run, ways[how], how=how, key=key)


def write(run, key, value):
    noted("write", run, lambda: run.summary.update({key: value}), key=key)


def tell(run, step):
    """The one call that only the hook understands."""
    if HOOKED:
        import wandb_step_fix

        wandb_step_fix.update_training_step(step)
    note("tell", run, step=step)


class Raises:
    """A value that looks like an array of one number and has none."""

    shape = ()

    def item(self):
        raise RuntimeError("no item")


# End of the prelude.
