# SPDX-License-Identifier: Apache-2.0
"""YAML of configuration files. No error may show a value from them: it may be a secret."""

from __future__ import annotations

from typing import Any


def parse(content: bytes) -> Any:
    """The document, None if it is empty. Raises ValueError."""
    # Only here, since few daemons have such a file.
    import yaml  # noqa: PLC0415

    class Loader(yaml.SafeLoader):
        def compose_mapping_node(self, anchor: Any) -> Any:
            """Refuse a key that is there twice: of its values, the first would be ignored."""
            node = super().compose_mapping_node(anchor)
            seen = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if (key.tag, key.value) in seen:
                    problem = "found a key for the second time"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
            return node

    try:
        return yaml.load(content, Loader)  # noqa: S506 - it is a safe one
    except yaml.MarkedYAMLError as error:  # its own text quotes the line, password and all
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ValueError(f"not YAML: {error.problem} in line {line}") from None
    except Exception:  # noqa: BLE001 - PyYAML's loaders let errors of every kind out
        raise ValueError("not YAML") from None
