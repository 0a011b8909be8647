# SPDX-License-Identifier: Apache-2.0
"""Values that trainings log, and what W&B and the JSONL have of them.

The values are texts, evaluated in a training of their own: each Python and wandb makes its own
of them, and what a library lacks is left out.
"""

import json
import math
import textwrap
from unittest.mock import ANY

PRELUDE = """
    import collections, collections.abc, datetime, decimal, enum, fractions, os, pathlib, types
    import uuid, wandb
    from importlib import import_module

    class Unprintable(Exception):
        def __str__(self): raise RuntimeError("no")

    def no(*_, **__):
        raise Unprintable

    def raising(*names, base=object, of=type, **others):
        body = {name: no if name.startswith("__") and name != "__class__" else property(no)
                for name in names}
        return of("Raising", (base,), {**body, **others})

    def of_raising_class(*names):
        return raising(of=raising(*names, base=type))

    class Int(int): pass
    class Float(float): pass
    class Text(str): pass
    class IntEnum(enum.IntEnum): A = 3
    class TextEnum(str, enum.Enum): A = "a"
    class Enum(enum.Enum): A = 1
    class Lying(int):
        def __repr__(self): return "True"
        __str__ = __int__ = __index__ = __add__ = __repr__
    class Array:
        def __init__(self, value): self.value = value
        shape = ()
        def item(self): return self.value
    class Mapping(collections.abc.Mapping):
        def __init__(self, *raising): self.raising = raising
        def __len__(self): return self.answer("__len__", 1)
        def __iter__(self): return self.answer("__iter__", iter("a"))
        def __getitem__(self, key): return self.answer("__getitem__", 1)
        def keys(self): return self.answer("keys", super().keys())
        def items(self): return self.answer("items", super().items())
        def answer(self, name, value): return no() if name in self.raising else value
    def nested(depth):
        return {"d": nested(depth - 1)} if depth else 1
    endless = {}
    endless["self"] = endless

    names = {**globals()}
    for library in "numpy", "pandas", "polars", "torch", "jax", "jax.numpy", "omegaconf":
        try:
            names[library.split(".")[-1] if library != "jax.numpy" else "jnp"] = (
                import_module(library))
        except ImportError:
            pass

    def log_row(text, step=None):
        try:
            wandb.log(eval(text, names), eval(str(step), names))
        except BaseException as error:
            print(text, step, type(error).__name__)

    def log(number, text, **how):
        # An AttributeError is of what a library lacks here, or of one that is not there.
        try:
            odd = eval(text, names)
        except (NameError, AttributeError, TypeError, KeyError) as error:
            print(number, "missing", type(error).__name__)
            return
        try:
            wandb.log({"i": number, "odd": odd, "loss": 0.5}, **how)
        except BaseException as error:
            print(number, type(error).__name__)
"""

PLAIN = {
    "True": True, "None": None, "3": 3, "0.1": 0.1, "2**63 - 1": 2**63 - 1, "-2**63": -(2**63),
    "2**64": 2**64, "10**299": 10**299, "10**5000": {"_type": "int"}, "Int(3)": 3,
    "Float(.5)": 0.5, "Text('x')": "x", "IntEnum.A": 3, "TextEnum.A": "a", "Lying(3)": 3,
    "float('nan')": "NaN", "float('-inf')": "-Infinity", "Float('nan')": "NaN",
    "'a\\udc80b'": "a�b", "'\\ud83d'": "�", "'\\ud83d\\ude00'": "😀", "'\\\\ud800'": "\\ud800",
    "Enum.A": {"_type": "Enum"}, "decimal.Decimal(1)": {"_type": "Decimal"},
    "fractions.Fraction(1, 2)": {"_type": "Fraction"},
    "datetime.datetime(2026, 1, 1)": {"_type": "datetime"}, "b'a'": {"_type": "bytes"},
    "bytearray(b'a')": {"_type": "bytearray"},
    "pathlib.PurePosixPath('/')": {"_type": "PurePosixPath"},
    "1j": {"_type": "complex"}, "{1}": {"_type": "set"},
    "len": {"_type": "builtin_function_or_method"},
    "uuid.UUID(int=1)": {"_type": "UUID"}, "[1]": {"_type": "list"}, "Array(1)": 1,
    "os.fsdecode(b'\\xff')": "�",
}  # fmt: skip
"""Of Python itself, and what the JSONL has of them."""

NUMPY = {
    "numpy.float16(.1)": 0.0999755859375, "numpy.float32(.1)": 0.10000000149011612,
    "numpy.float64(.1)": 0.1, "numpy.longdouble(.5)": {"_type": ANY}, "numpy.int8(3)": 3,
    "numpy.uint64(2**64 - 1)": 2**64 - 1, "numpy.bool_(True)": True, "numpy.str_('x')": "x",
    "numpy.float32('nan')": "NaN", "numpy.float16('-inf')": "-Infinity",
    "numpy.complex64(1)": {"_type": "complex64"}, "numpy.bytes_(b'a')": {"_type": "bytes_"},
    "numpy.datetime64('2026-01-01')": {"_type": "datetime64"},
    "numpy.datetime64('NaT')": {"_type": "datetime64"}, "numpy.void(b'ab')": {"_type": "void"},
    "numpy.array((1, 2.), dtype=[('a', int), ('b', float)])": {"_type": "ndarray"},
    "numpy.ma.masked": {"_type": "MaskedConstant"}, "numpy.ma.array(1.)": 1.0,
    "numpy.ma.array([1.], mask=[True])": {"_type": "MaskedArray"},
    "numpy.array(1.5)": 1.5, "numpy.array([[2]])": 2, "numpy.array(.5, dtype='f2')": 0.5,
    "numpy.array('x')": "x", "numpy.array(None)": {"_type": "ndarray"},
    "numpy.array([])": {"_type": "ndarray"}, "numpy.arange(100)": {"_type": "ndarray"},
    "numpy.array(True)": True, "numpy.array(numpy.nan)": "NaN",
    "numpy.timedelta64(5, 's')": {"_type": "timedelta64"},
}  # fmt: skip

LIBRARIES = {
    "pandas.NA": {"_type": "NAType"}, "pandas.NaT": {"_type": "NaTType"},
    "pandas.Timestamp('2026-01-01')": {"_type": "Timestamp"},
    "pandas.Series([1.5])": {"_type": "Series"}, "pandas.Index([1])": 1,
    "polars.Series([1.5])": 1.5, "polars.lit(1)": {"_type": "Expr"},
    "torch.tensor(1.5)": 1.5, "torch.tensor(.1).bfloat16()": 0.10009765625,
    "torch.tensor(1., requires_grad=True)": 1.0, "torch.tensor([[3]])": 3,
    "torch.tensor(1., device='meta')": {"_type": "Tensor"}, "torch.tensor(1j)": {"_type": "Tensor"},
    "torch.tensor(True)": True, "torch.tensor(float('nan'))": "NaN",
    "torch.ones(2)": {"_type": "Tensor"}, "torch.nn.Parameter(torch.tensor(1.))": 1.0,
    "jnp.float32(1.5)": 1.5, "jnp.bfloat16(.1)": 0.10009765625, "jnp.ones((1, 1))": 1.0,
    "jnp.bool_(True)": True, "jnp.complex64(1j)": {"_type": "ArrayImpl"},
    "jnp.ones(2)": {"_type": "ArrayImpl"}, "jax.random.key(0)": {"_type": "PRNGKeyArray"},
    "omegaconf.OmegaConf.create({'a': '???'})": {"_type": "DictConfig"},
    "omegaconf.OmegaConf.create({'a': 1})": {"_type": "DictConfig"},
    "omegaconf.OmegaConf.create([1])": {"_type": "ListConfig"},
}  # fmt: skip
"""Of libraries that the development environment lacks."""

METHODS = (
    "__str__", "__repr__", "__class__", "__getattr__", "__getattribute__", "__eq__", "__hash__",
    "item", "shape", "__float__", "__int__", "__index__", "_log_type", "__len__", "__iter__",
    "__getitem__", "__bool__", "__format__", "__abs__", "__lt__", "__gt__", "__neg__", "keys",
    "items", "__add__", "__sub__", "__floordiv__", "__mod__", "__array__", "__contains__",
)  # fmt: skip
HIDDEN = ("__class__", "__getattribute__")  # that it is a number
TYPE = {"_type": "Raising"}
RAISING = {
    **{f"raising({name!r})()": TYPE for name in METHODS},
    **{f"raising({name!r}, shape=())()": TYPE for name in ("item", "__getattr__")},
    **{f"raising({name!r}, base={base})({value!r})": TYPE if name in HIDDEN else value
       for name in METHODS for base, value in (("int", 3), ("float", 0.5), ("str", "x"))},
    **{f"of_raising_class({name!r})()": TYPE for name in METHODS if name != "__class__"},
    **{f"of_raising_class('__name__', '_log_type', {name!r})()": TYPE for name in METHODS[6:9]},
    **{f"Mapping({name!r})": {"_type": "Mapping"}
       for name in ("", "__len__", "__iter__", "__getitem__", "keys", "items")},
    **{f"raising({name!r}, base=dict)(a=1)": TYPE for name in ("items", "__getattribute__")},
    "types.SimpleNamespace(shape=(), item=no)": {"_type": "SimpleNamespace"},
    "types.MappingProxyType({'a': 1})": {"_type": "mappingproxy"},
    "Array(raising('__index__')())": {"_type": "Array"},
}  # fmt: skip
"""Objects that raise somewhere, of which no more than their own record is lost."""

NESTED = {
    "{'a': {'b': 1, 'c': raising('__class__')()}}": {"odd.a.b": 1, "odd.a.c": TYPE},
    "{'a\\udc80': 1}": {"odd.a�": 1},
    "{TextEnum.A: 1}": {"odd.a": 1},
    "{3: 1}": {"odd.3": 1},
    "{IntEnum.A: 1}": {"odd.3": 1},
    "{True: 1}": {"odd.true": 1},
    "{raising('__str__')(): 1}": {"odd": {"_type": "dict"}},
    "{('a', 1): 1}": {"odd": {"_type": "dict"}},
    "{'a': Mapping('keys'), 'b': 1}": {"odd.a": {"_type": "Mapping"}, "odd.b": 1},
    "nested(20)": {"odd" + ".d" * 20: 1},
    "nested(40)": {"odd" + ".d" * 32: {"_type": "dict"}},
    "endless": {"odd" + ".self" * 32: {"_type": "dict"}},
}


STEPS = {
    "3": 3, "True": 3, "2**63": 3, "-2**63 - 1": 3, "10**5000": 3, "-10**5000": 3,
    "IntEnum.A": 3, "Int(4)": 4, "Lying(5)": 5, "6.0": 5, "6.5": 5, "float('nan')": 5, "'7'": 5,
    "numpy.int64(7)": 7, "numpy.bool_(True)": 5, "numpy.float32(8)": 5, "numpy.array(8)": 8,
    "raising('__index__')()": 5, "raising('__index__', base=int)(9)": 9,
    "raising('__floordiv__', '__eq__', base=float)(9)": 9, "raising('__class__')()": 9,
}  # fmt: skip
"""Steps of calls, and what the newest wandb makes of them: the one before where it refuses one."""

ROWS = [
    *(f"Mapping({name!r})" for name in ("", "__len__", "__iter__", "__getitem__", "keys", "items")),
    "raising('keys', base=dict)(a=1)", "raising('__iter__', base=dict)(a=1)", "{1: 2}", "None",
    "raising('__class__')()", "of_raising_class('__instancecheck__', '__hash__')()",
    "{TextEnum.A: 1}", "{'a\\udc80': 1}", "{'a\\udc80': 1, 'a\\udc81': 'x'}",
    "{'global_step': 10**5000}", "{'global_step': raising('__index__', '__class__')()}",
    "{'global_step': raising('__eq__', '__floordiv__', base=float)(1)}",
    "{'global_step': True}", "{raising('__eq__', base=str, __hash__=str.__hash__)('a'): 1}",
    "{raising('__str__', '__format__', base=str)('b'): 'c'}", "types.MappingProxyType({'a': 2})",
]  # fmt: skip


def script(body):
    return "".join(map(textwrap.dedent, (PRELUDE, body)))


LATE_ROW = """
    wandb.log({"end": 1}, step=10**6)
    wandb.log({"late": 1}, step=10**6 - 1)
    wandb.finish()
"""


def of_values(texts, how="{}"):
    """A training that logs each of the values beside others."""
    return script(f"""
        wandb.init(project="p")
        for number, text in enumerate({list(texts)!r}):
            log(number, text, **{how})
    """) + textwrap.dedent(LATE_ROW)


def of_rows(rows):
    """A training that logs rows, texts as the values, each with a step."""
    return script(f"""
        wandb.init(project="p")
        for row, step in {list(rows)!r}:
            log_row(row, step)
    """) + textwrap.dedent(LATE_ROW)


def by_number(rows):
    return {row["i"]: row for row in rows if "i" in row}


def flat(values, prefix=""):
    """A row of W&B with the keys of nested dicts joined by dots."""
    found = {}
    for key, value in values.items():
        nested = isinstance(value, dict) and value and "_type" not in value
        found.update(flat(value, f"{prefix}{key}.") if nested else {prefix + key: value})
    return found


def agree(ours, theirs):
    """Whether the JSONL says the same of a value as W&B, or only its type."""
    if isinstance(theirs, float) and not math.isfinite(theirs):
        theirs = "NaN" if math.isnan(theirs) else "Infinity" if theirs > 0 else "-Infinity"
    if isinstance(theirs, str):
        theirs = theirs.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    same = json.dumps(ours) == json.dumps(theirs) or (
        # As other readers of JSON have it: W&B's core, in Go, has the nearest float.
        {type(ours), type(theirs)} == {int, float} and float(ours) == theirs
    )
    return same or (isinstance(ours, dict) and list(ours) == ["_type"])
