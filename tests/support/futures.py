# SPDX-License-Identifier: Apache-2.0
"""The wandbs of the future that the hook has to stand.

`RENAMED` has each name of wandb that the hook uses; a test finds the names in its source. `OTHERS`
has what else may become of them. Each says which parts of the hook cannot be there any more.
"""

from support.future import RUN, Future

INIT, GLOBALS, NOOP = "wandb.sdk.wandb_init", "wandb.sdk.lib.module", "wandb.sdk.lib.noop_run"
INTERFACE, SUMMARY = "wandb.sdk.interface.interface", "wandb.sdk.wandb_summary"
RECORD, TYPES = "wandb.sdk.interface.summary_record", "wandb.sdk.data_types.utils"
HISTORY, UTIL = "wandb.sdk.interface.history_value", "wandb.util"
SETTINGS, PROTO = "wandb.sdk.wandb_settings", "wandb.proto.wandb_internal_pb2"

STEP_FIX = ("step_fix",)
WATCH = ("watch",)
DISABLED = ("disabled_runs",)
MEDIA = ("late_media",)
NOTHING = ("step_fix", "records")  # is left of the hook

RENAMED = {
    "_log": WATCH,
    "_finish": (),
    "_atexit_cleanup": (),
    "_summary_update_callback": STEP_FIX,
    "_summary_get_current_summary_callback": STEP_FIX,
    "_init_pid": STEP_FIX,
    "_is_attached": STEP_FIX,
    "_settings": STEP_FIX,
    "_run_id": (),
    "_is_finished": (),
    "_exit_code": (),
    "_serialize_custom_charts": MEDIA,
    "_tensorboard_callback": ("tensorboard",),
    "_update_callback": STEP_FIX,
    "_local_step": STEP_FIX,
    "set_global": DISABLED,
    "history_dict_to_json": MEDIA,
    "json_dumps_safer_history": MEDIA,
    "define_metric": STEP_FIX,
    "patched": STEP_FIX,
    "wandb_run": (),
}

CALL = r"self\._log\(data=data, step=step, commit=commit\)"
PARAMETERS = "data, step=None, commit=None"


def edited(*edits, declined=(), **what):
    return Future(declined, edits=edits, **what)


def appended(code, *edits, declined=(), **what):
    return Future(declined, appended=f"\n{code}\n", edits=edits, **what)


def method(name, parameters, first=""):
    """The edit that gives `log` or `_log` other parameters, and perhaps a first statement."""
    old = rf"    def {name}\(\n        self,\n(        .*,\n){{3}}    \) -> None:\n"
    return RUN, old, f"    def {name}(self, {parameters}):\n" + (first and f"        {first}\n")


def inner(parameters, call, first="", declined=WATCH):
    """`_log` has other parameters, and `log` passes them."""
    return edited(method("_log", parameters, first), (RUN, CALL, call), declined=declined)


def before_run(code):
    return RUN, r"\nclass Run:", code + "\nclass Run:"


def moved(shim, *edits, declined=()):
    """The class is in another module; `shim` is what the old one has."""
    return Future(declined, renamed="wandb_run", shim=shim, edits=edits)


THE_METHOD_THAT_LOGS = {
    "_log: a keyword that its caller passes": inner(
        PARAMETERS + ", *, origin=None", "self._log(data, step, commit, origin=1)",
        declined=STEP_FIX),
    "_log: a keyword that it demands": inner(
        PARAMETERS + ", *, origin", "self._log(data, step, commit, origin=1)",
        declined=STEP_FIX),
    "_log: a position more": inner(
        "data, step, commit, origin", "self._log(data, step, commit, 1)"),
    "_log: a position before": inner(
        "origin, data, step, commit", "self._log('log', data, step, commit)"),
    "_log: in another order": inner(
        "data, commit=None, step=None", "self._log(data, commit, step)"),
    "_log: a parameter renamed": inner(
        "metrics, step=None, commit=None", "self._log(metrics=data, step=step, commit=commit)",
        "data = metrics"),
    "_log: another default": inner(
        "data, step=-1, commit=None", "self._log(data, -1 if step is None else step, commit)",
        "step = None if step == -1 else step"),
    "_log: a coroutine": edited(
        (RUN, r"    def _log\(", "    async def _log("),
        (RUN, "( +)" + CALL, r"""\1try: self._log(data, step, commit).send(None)
\1except StopIteration: pass"""), declined=WATCH),
    "_log: a property": appended(
        "Run._log_2 = Run._log\nRun._log = property(lambda self: self._log_2)", declined=WATCH),
    "_log: a partial method": appended(
        "Run._log_2 = Run._log\nRun._log = functools.partialmethod(Run._log_2)", declined=WATCH),
    "_log: not called by log": appended(
        "Run._log_2 = Run._log", (RUN, CALL, "self._log_2(data, step, commit)"), declined=WATCH),
    "_log: a keyword at times": edited(
        method("_log", PARAMETERS + ", origin=None"), method("log", PARAMETERS + ", unknown=None"),
        (RUN, CALL, "self._log(data, step, commit, **({'origin': 1} if unknown else {}))"),
        declined=STEP_FIX, accepts=True),
    "_log: returns something": edited(
        (RUN, "( +)" + CALL, r"\1return self._log(data=data, step=step, commit=commit)"),
        (RUN, r"( +)(self\._local_step \+= 1\n)", r"\1\2        return 1\n"), declined=STEP_FIX),
    "log: returns something": edited((RUN, f"( +)({CALL})", r"\1\2\n\1return 1")),
    "log: renamed": edited(
        (RUN, r"    def log\(", "    def record("), (NOOP, r"    def log\(", "    def record("),
        ("wandb", r"Run\.log\b", "Run.record"), (GLOBALS, r"Run\.log\b", "Run.record"),
        (INIT, r"run\.log,", "run.record,"), (NOOP, r"noop_run\.log,", "noop_run.record,"),
        declined=DISABLED, program=((r"run\.log\(", "run.record("),)),
    "log: and _log, a parameter renamed": edited(
        method("_log", "metrics, step=None, commit=None", "data = metrics"),
        method("log", "metrics, step=None, commit=None"),
        (RUN, CALL, "self._log(metrics=metrics, step=step, commit=commit)"), declined=NOTHING),
    "log: a keyword that users know": edited(
        method("log", PARAMETERS + ", unknown=None"), accepts=True),
    "log: metrics instead of data": edited(
        method("log", "metrics, step=None, commit=None", "data = metrics"),
        (NOOP, r"def log\(self, data, (.*)\n(.*)data", r"def log(self, metrics, \1\n\2metrics"),
        program=((r"log\(({.(?:child|disabled))", r"log(metrics=\1"),)),
}  # fmt: skip

WHAT_INIT_PUBLISHES = {
    "log: a function of wandb": edited(
        (INIT, r"log=run\.log,", "log=lambda *a, **k: run.log(*a, **k),"),
        (NOOP, r"log=noop_run\.log,", "log=lambda *a, **k: noop_run.log(*a, **k),")),
    "log: made by set_global": edited(
        (INIT, r" log=run\.log,", ""), (NOOP, r" log=noop_run\.log,", ""),
        (GLOBALS, r"    log=None,\n", ""),
        (GLOBALS, r"if log:\n        wandb.log = log",
         r"if run:\n        wandb.log = lambda *a, **k: run.log(*a, **k)")),
    "set_global: by position": edited(
        *((module, r"set_global\(\n +run=(.*)\n +config=(.*)\n +log=", r"set_global(\1 \2 ")
          for module in (INIT, NOOP))),
    "set_global: a parameter renamed": edited(
        *((module, r"(set_global\(\n +)run=", r"\1the_run=") for module in (INIT, NOOP, GLOBALS)),
        (GLOBALS, r"if run:\n        wandb.run = run", r"if the_run:\n        wandb.run = the_run"),
        declined=DISABLED),
    "module: imported as another": edited(
        (RUN, r"\n    module,\n", r"\n    module as globals_,\n"),
        (RUN, r"\bmodule\.unset", "globals_.unset")),
}  # fmt: skip

SLOTS = r"""
def _slots():
    source = open(__file__).read()
    stored = re.findall(r"self[.](\\w+)(?:: [^=\\n]+)? = ", source)
    return {*stored, "_attach_pid", "_frozen"} - {*re.findall(r"def (\\w+)", source)}
"""
UNCHANGEABLE = """
class _Meta(type):
    def __setattr__(self, name, value):
        raise TypeError("Run cannot be changed")
"""
NO_GETSTATE = """
state = Run.__getstate__
del Run.__getstate__
Run.__reduce_ex__ = lambda self, _protocol: (Run.__new__, (Run,), state(self))
"""
LAZY = """
def __getattr__(name):
    import wandb.sdk.wandb_run_2 as moved
    return getattr(moved, name)
"""

THE_CLASS = {
    "Run: a subclass": edited(
        (RUN, r"\nclass Run:", r"\nclass _Base:"),
        (RUN, r"\ndef restore\(", r"\nclass Run(_Base):\n    pass\n\ndef restore(")),
    "Run: with slots": edited(
        (RUN, r"\nclass Run:\n", SLOTS + r"\nclass Run:\n    __slots__ = tuple(_slots())\n"),
        declined=("step_fix", "tensorboard")),
    "Run: a class that refuses changes": edited(
        (RUN, r"\nclass Run:", UNCHANGEABLE + r"\nclass Run(metaclass=_Meta):"), declined=NOTHING),
    "Run: moved, the old module re-exports it": moved("from wandb.sdk.wandb_run_2 import Run"),
    "Run: moved, the old module imports it when asked": moved(LAZY),
    "Run: moved, nowhere to be seen": moved(
        "", ("wandb", r"(\.wandb_run_2 import Run)\n", r"\1 as _Run\n"),
        ("wandb", r"\bRun\.", "_Run."), (GLOBALS, r"wandb\.Run\.", "wandb._Run."),
        declined=NOTHING),
    "step: a method": appended("Run.step = Run.step.fget", declined=STEP_FIX),
    "step: gone": appended("del Run.step", declined=STEP_FIX),
    "group: a method": appended("Run.group = Run.group.fget"),
    "__getstate__: gone": appended(NO_GETSTATE, declined=STEP_FIX),
    "finish: renamed": appended(
        "Run.end = Run.finish\ndel Run.finish", (RUN, r"wandb\.run\.finish\(", "wandb.run.end("),
        program=((r"run\.finish\(", "(run.end if hasattr(run, 'end') else run.finish)("),)),
    "__exit__: and all other ways to end, renamed": edited(
        (RUN, r"\b(_finish|_atexit_cleanup)\b", r"\1_2"), (NOOP, r"\b_finish\b", "_finish_2"),
        (NOOP, r"def finish\(", "def end("), (RUN, r"    def finish\(\n", "    def end(\n"),
        (RUN, r"wandb\.run\.finish\(", "wandb.run.end("), (RUN, "def __exit__", "def _leave"),
        declined=("step_fix", "finish"),
        program=((r"run\.finish\(", "run.end("), (r"with (.*) as run:", r"if run := \1:"),
                 (r"(print..trained)", r"run.end()\n\1"))),
}  # fmt: skip

COUNTER = """
@functools.total_ordering
class _Counter:
    def __init__(self, value):
        self.value = value
    def __int__(self):
        return self.value
    def __lt__(self, other):
        return self.value < other
    def __iadd__(self, other):
        return _Counter(self.value + other)
"""
PROCESS = """
class _Process:
    def __init__(self):
        self.pid = os.getpid()
    def __eq__(self, other):
        return self.pid == getattr(other, "pid", other)
"""

ITS_ATTRIBUTES = {
    "_local_step: an object": edited(
        before_run(COUNTER),
        (RUN, r"self\._local_step = (0|step)\n", r"self._local_step = _Counter(\1)\n"),
        (RUN, r"user_step=self\._local_step", "user_step=int(self._local_step)"),
        declined=STEP_FIX),
    "_local_step: a method": appended(
        "Run._local_step = lambda self: self._at", (RUN, r"\b_local_step\b", "_at"),
        declined=STEP_FIX),
    "_init_pid: an object": edited(
        before_run(PROCESS), (RUN, r"self\._init_pid = .*", "self._init_pid = _Process()"),
        declined=STEP_FIX),
    "_is_attached: a method": appended(
        "Run._is_attached = lambda self: self._attached", (RUN, r"\b_is_attached\b", "_attached"),
        declined=STEP_FIX),
    "_is_finished: a method": appended(
        "Run._is_finished = lambda self: self._ended", (RUN, r"\b_is_finished\b", "_ended")),
    "_shared: renamed": Future(
        STEP_FIX, renamed="_shared",
        edits=((SETTINGS, r"getattr\(settings_proto, k\)",
                "getattr(settings_proto, k.replace('_2', ''))"),)),
}  # fmt: skip

UNPACKED = r"\1\n        [summary_record] = summary_record"
UPDATE = r"self\._update_callback\(record\)"
DEFINITION = r"(return self\._define_metric\({}            ){}"

SUMMARIES_AND_DEFINITIONS = {
    "_summary_update_callback: a keyword more": edited(
        (RUN, r"(def _summary_update_callback\(self, .*)\)", r"\1, *, by)"),
        (SUMMARY, UPDATE, "self._update_callback(record, by=1)"), declined=STEP_FIX),
    "_summary_update_callback: by keyword": edited(
        (SUMMARY, UPDATE, "self._update_callback(summary_record=record)")),
    "_summary_update_callback: a position before": edited(
        (RUN, r"(def _summary_update_callback\(self, )", r"\1by, "),
        (SUMMARY, UPDATE, "self._update_callback(1, record)"), declined=STEP_FIX),
    "_summary_update_callback: another record": edited(
        (RUN, r"(def _summary_update_callback.*)", UNPACKED),
        (SUMMARY, UPDATE, "self._update_callback([record])"), declined=STEP_FIX,
        # Found at the first write: what late rows have hidden below nested keys is lost by then.
        program=((r', run\.summary\["deep"\]\["a"\]', ""),)),
    "_summary_get_current_summary_callback: a keyword more": edited(
        (RUN, r"(def _summary_get_current_summary_callback\(self)", r"\1, *, by"),
        (SUMMARY, r"(self\._get_current_summary_callback\()\)", r"\1by=1)")),
    "_summary_get_current_summary_callback: another answer": edited(
        (RUN, r"return (proto_util\.dict_from_proto_list\(get_summary.*)", r"return [\1]"),
        (SUMMARY, r"(self\._get_current_summary_callback\(\))", r"\1[0]")),
    "SummaryItem: an argument": edited(
        (RECORD, r"(class SummaryItem(?:.*\n)*?    def __init__\(self)", r"\1, by"),
        *((module, r"SummaryItem\(\)\n", r"SummaryItem(1)\n") for module in (RECORD, SUMMARY)),
        declined=STEP_FIX),
    "SummaryItem: renamed": edited(
        *((module, r"\bSummaryItem\b", "Item") for module in (SUMMARY, RECORD)),
        declined=STEP_FIX),
    "SummaryRecord: renamed": edited(
        *((module, r"\bSummaryRecord\b", "Record") for module in (RUN, SUMMARY, RECORD)),
        declined=STEP_FIX),
    "summary: a property": appended(
        "Run.summary = property(lambda self: self._kept, lambda self, new: None)",
        (RUN, r"self\.summary = wandb_summary", "self._kept = wandb_summary"),
        (NOOP, r"self\.summary = ", "self._kept = ")),
    "update: takes keywords": edited(
        (SUMMARY, r"def update\(self, d: dict\)", "def update(self, **d)"),
        (SUMMARY, r"self\.update\({key: val}\)", "self.update(**{key: val})"),
        declined=STEP_FIX),
    "define_metric: a parameter renamed": edited(
        (RUN, r"(    def define_metric\((?:.*\n){2}        name)", r"\1_2"),
        (RUN, DEFINITION.format(r"\n", "name"), r"\1name_2"), declined=STEP_FIX),
    "define_metric: a parameter gone": edited(
        (RUN, r"(    def define_metric\((?:.*\n){5})        hidden.*\n", r"\1"),
        (RUN, DEFINITION.format(r"(?:.*\n){4}", "hidden"), r"\1None"), declined=STEP_FIX),
}  # fmt: skip

CONVERTED = r"(= history_dict_to_json\()([^)]*\))"

LATE_MEDIA = {
    "history_dict_to_json: a parameter more": edited(
        (TYPES, r"(def history_dict_to_json\(\n)", r"\1    by,\n"),
        *((module, CONVERTED, r"\g<1>1, \2") for module in (TYPES, INTERFACE)), declined=MEDIA),
    "history_dict_to_json: another answer": edited(
        (TYPES, r"\n    return payload\n", r"\n    return [payload]\n"),
        *((module, CONVERTED, r"\1\2[0]") for module in (TYPES, INTERFACE)), declined=MEDIA),
    "_serialize_custom_charts: a parameter more": edited(
        (RUN, r"(def _serialize_custom_charts\(\n        self,)", r"\1 by,"),
        (RUN, r"self\._serialize_custom_charts\(", "self._serialize_custom_charts(1, "),
        declined=MEDIA),
    "json_dumps_safer_history: another answer": edited(
        (UTIL, r"(def json_dumps_safer_history.*\n.*\n    return )(.*)", r"\1[\2]"),
        (INTERFACE, r"(json_dumps_safer_history\(v\))", r"\1[0]"),
        (HISTORY, r"(json_dumps_safer_history\(value\))", r"\1[0]"), declined=MEDIA),
}  # fmt: skip

THE_REST = {
    "today": Future(),
    "PartialHistoryRequest: elsewhere": edited(
        (INTERFACE, r"pb\.PartialHistoryRequest\(", r"pb.Partial("),
        (PROTO, r"\Z", r"\nPartial = PartialHistoryRequest\ndel PartialHistoryRequest\n"),
    ),
    "__version__: no number": edited(("wandb", r"__version__ = .*", "__version__ = 'next'")),
}

OTHERS = {
    **THE_METHOD_THAT_LOGS, **WHAT_INIT_PUBLISHES, **THE_CLASS, **ITS_ATTRIBUTES,
    **SUMMARIES_AND_DEFINITIONS, **LATE_MEDIA, **THE_REST,
}  # fmt: skip
ALL = {**{name: Future(declined, renamed=name) for name, declined in RENAMED.items()}, **OTHERS}
