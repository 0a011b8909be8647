# SPDX-License-Identifier: Apache-2.0
"""YAML files for `primus-lens inject`: their documents, and the text of each as it was written.

Comments, order and unknown fields stay. It must not know what is done to a document.
"""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import AliasToken

from primus_lens_webhook.document import Malformed


def load(text: str) -> list[Any]:
    """The documents but empty ones. Raises Malformed.

    Where anchors are used, parts are shared, and what is done to one pod would be done to
    another: then the shared parts are written out, and comments are lost.
    """
    try:
        shared = any(isinstance(token, AliasToken) for token in YAML().scan(text))
        loader = YAML(typ="safe", pure=True) if shared else _yaml()
        documents = [each for each in loader.load_all(text) if each is not None]
        return [_plain(each) for each in documents] if shared else documents
    except YAMLError as error:
        raise Malformed(" ".join(str(error).split())) from None


def dump(document: Any) -> str:
    """The text of a document that `load` has read."""
    out = io.StringIO()
    _yaml().dump(document, out)
    return out.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(below) for key, below in value.items()}
    return [_plain(below) for below in value] if isinstance(value, list) else value


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 20
    yaml.indent(mapping=2, sequence=2, offset=0)
    return yaml
