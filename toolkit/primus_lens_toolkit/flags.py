# SPDX-License-Identifier: Apache-2.0
"""Prometheus-style flags, each with an environment twin, from one frozen dataclass.

A field `web_listen_address` made by `flag("--web.listen-address", …)` is read from that
flag, else from `{PREFIX}WEB_LISTEN_ADDRESS`, else from its default. A value that does not
parse ends the program with status 2 and one line that names the flag, wherever it came
from; it must never end in a traceback.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

Settings = TypeVar("Settings")
Parsed = TypeVar("Parsed")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, where argparse puts its usage before it.

    Takes flags by their whole names, and leaves the lines of its texts as they are.
    """

    def __init__(
        self, prog: str, description: str, epilog: str, *, allow_abbrev: bool = False
    ) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=allow_abbrev,
        )

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def flag(
    name: str,
    help: str,
    parse: Callable[[str], Any] = str,
    *,
    default: Any = dataclasses.MISSING,
    repeatable: bool = False,
    metavar: str | None = None,
    unset: str = "none",
    environment: bool = True,
) -> Any:
    """A dataclass field that is also a flag. Without a default it must be given.

    `parse` raises ValueError with a text for the user. A repeatable flag's field is a
    tuple; its environment twin holds the values separated by commas. `unset` is
    what --help shows for an empty default; without `environment` there is no twin.
    """
    metadata = {"flag": name, "help": help, "parse": parse, "repeatable": repeatable}
    metadata |= {"metavar": metavar, "unset": unset, "environment": environment}
    return dataclasses.field(default=default, metadata=metadata)


def limit(name: str, help: str, default: int, metavar: str = "COUNT") -> Any:
    """A flag that takes a whole number above zero."""
    return flag(name, help, positive, default=default, metavar=metavar)


def parse(
    settings: type[Settings],
    parser: argparse.ArgumentParser,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    prefix: str,
) -> Settings:
    """Read a settings dataclass. Exits with status 2 on a bad or missing value."""
    fields = dataclasses.fields(settings)  # type: ignore[arg-type]
    for field in fields:
        _add(parser, field, prefix)
    given = vars(parser.parse_args(arguments))
    values = {field.name: _value(parser, field, given, environ, prefix) for field in fields}
    try:
        return settings(**values)
    except ValueError as error:  # values that make no sense together
        parser.error(str(error))


def argument(parse: Callable[[str], Parsed]) -> Callable[[str], Parsed]:
    """For argparse's `type`: tells the text of a ValueError, which argparse leaves out."""

    def parsed(text: str) -> Parsed:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def positive(text: str) -> int:
    """For `parse`: a whole number above zero; ValueError otherwise."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError(f"expected a whole number above zero, not {text!r}")
    return int(text)


def boolean(text: str) -> bool:
    """For `parse`: a switch, which may also be given a word. ValueError for another one."""
    if text not in ("true", "false"):
        raise ValueError(f"expected true or false, not {text!r}")
    return text == "true"


def one_of(*words: str) -> Callable[[str], str]:
    """For `parse` of a flag: one of these words; ValueError for another one."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}, not {text!r}")
        return text

    return parse


def _add(parser: argparse.ArgumentParser, field: dataclasses.Field[Any], prefix: str) -> None:
    told = _default(field) + (f"; env: {twin}" if (twin := _env(field, prefix)) else "")
    is_switch = field.metadata["parse"] is boolean
    parser.add_argument(
        field.metadata["flag"],
        dest=field.name,
        action="append" if field.metadata["repeatable"] else "store",
        nargs="?" if is_switch else None,
        const="true" if is_switch else None,
        metavar="true|false" if is_switch else field.metadata["metavar"],
        help=f"{field.metadata['help']} [{told}]".replace("%", "%%"),
    )


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "required"
    if field.default in (None, "", ()):
        return f"default: {field.metadata['unset']}"
    words = {True: "true", False: "false"} if isinstance(field.default, bool) else {}
    return f"default: {words.get(field.default, field.default)}"


def _value(
    parser: argparse.ArgumentParser,
    field: dataclasses.Field[Any],
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    prefix: str,
) -> Any:
    name, source = field.metadata["flag"], field.metadata["flag"]
    texts = given[field.name]
    if texts is None:
        source = _env(field, prefix)
        texts = environ.get(source, "") if source else ""
        if not texts and field.default is not dataclasses.MISSING:
            return field.default
        if not texts:
            parser.error(f"{name} is required" + (f" (or set {source})" if source else ""))
        if field.metadata["repeatable"]:
            texts = texts.split(",")
    try:
        if field.metadata["repeatable"]:
            return tuple(field.metadata["parse"](text) for text in texts)
        return field.metadata["parse"](texts)
    except ValueError as error:
        parser.error(f"{source}: {error}")


def _env(field: dataclasses.Field[Any], prefix: str) -> str:
    """The environment twin's name; empty where there is none."""
    return prefix + field.name.upper() if field.metadata["environment"] else ""
