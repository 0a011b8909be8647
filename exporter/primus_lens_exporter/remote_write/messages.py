# SPDX-License-Identifier: Apache-2.0
"""Protobuf messages that are described here, field by field, instead of generated.

Both versions of remote write need a dozen fields of `prompb/remote.proto`, `prompb/types.proto`
and `prompb/io/prometheus/write/v2/types.proto` of Prometheus.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto
STRING, DOUBLE = FIELD.TYPE_STRING, FIELD.TYPE_DOUBLE
INT64, INT32, UINT32 = FIELD.TYPE_INT64, FIELD.TYPE_INT32, FIELD.TYPE_UINT32


def messages(package: str, described: dict[str, dict[str, tuple[int, Any]]]) -> list[type[Any]]:
    """Their classes, in the order given: {message: {field: (number, type)}}.

    A type is a scalar one, a scalar one in a list, which makes it repeated, or the name of a
    message, which makes it repeated unless it stands in a tuple.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package)
    file.syntax = "proto3"
    for name, fields in described.items():
        message = file.message_type.add(name=name)
        for field, (number, of) in fields.items():
            message.field.add(name=field, number=number, **_kind(package, of))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    found = (pool.FindMessageTypeByName(f"{package}.{name}") for name in described)
    return [message_factory.GetMessageClass(each) for each in found]


def _kind(package: str, of: Any) -> dict[str, Any]:
    if isinstance(of, str):
        return {"label": FIELD.LABEL_REPEATED, "type_name": f".{package}.{of}"}
    if isinstance(of, tuple):
        return {"label": FIELD.LABEL_OPTIONAL, "type_name": f".{package}.{of[0]}"}
    if isinstance(of, list):
        return {"label": FIELD.LABEL_REPEATED, "type": of[0]}
    return {"label": FIELD.LABEL_OPTIONAL, "type": of}
