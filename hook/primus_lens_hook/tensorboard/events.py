# SPDX-License-Identifier: Apache-2.0
"""What an `Event` of TensorBoard holds: its scalars by value, its media by their type.

It reads the message that the caller has passed. It must never import the classes of such
messages: TensorBoard, tensorboardX and TensorFlow bring their own.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, Optional

# Fields of a TensorProto that hold numbers, by its data type: name, and the format of one of them
# in `tensor_content`, in the machine's own byte order as TensorBoard has it.
NUMBERS = {
    1: ("float_val", "f"),
    2: ("double_val", "d"),
    3: ("int_val", "i"),
    9: ("int64_val", "q"),
}


def _media(name: str) -> Any:
    """A value that is recorded as `{"_type": name}`."""
    return type(name, (), {"_log_type": name})()


# What W&B makes of media, by the field of the value, or by the plugin of a tensor. Of texts, audio,
# graphs and hyperparameters it makes nothing.
MEDIA = {
    "histo": _media("histogram"),
    "histograms": _media("histogram"),
    "image": _media("images/separated"),
    "images": _media("images/separated"),
    "pr_curves": _media("table-file"),
}


def values_of(event: Any, plugins: Dict[str, str]) -> Dict[str, Any]:
    """The values of an event by their tags: floats, ints, and objects for media.

    `plugins` remembers the plugin of each tag for the caller.
    """
    values = {}
    for value in event.summary.value:
        kind = value.WhichOneof("value")
        if kind == "simple_value":
            values[value.tag] = value.simple_value
        elif kind is not None:
            number_or_media = _tensor(value, plugins) if kind == "tensor" else MEDIA.get(kind)
            if number_or_media is not None:
                values[value.tag] = number_or_media
    return values


def _tensor(value: Any, plugins: Dict[str, str]) -> Any:
    # TensorFlow leaves the metadata out from the second value of a tag on.
    plugin = value.metadata.plugin_data.plugin_name
    if plugin:
        plugins[value.tag] = plugin
    else:
        plugin = plugins.get(value.tag, "")
    return _number(value.tensor) if plugin == "scalars" else MEDIA.get(plugin)


def _number(tensor: Any) -> Optional[float]:
    """The number in a tensor of one; None of any other tensor."""
    field, form = NUMBERS.get(tensor.dtype, ("", ""))
    if not field:
        return None
    content = tensor.tensor_content
    if content:
        return struct.unpack(form, content)[0] if len(content) == struct.calcsize(form) else None
    numbers = getattr(tensor, field)
    return numbers[0] if len(numbers) == 1 else None
