"""The smallest ONNX models that can be told apart, written by hand in the protobuf wire format of onnx.proto3."""

from __future__ import annotations


def network(*operators: str, shape: tuple[int, ...] = (1, 3, 112, 112), outputs: int = 1) -> bytes:
    """A model that pools a picture of ``shape`` to 4 x 4 and puts it through further operators, as bytes.

    outputs: how many of the last values are given out.
    """
    pool = [_bytes(5, _bytes(1, name) + b"".join(_number(8, 28) for _ in "hw") + _number(20, 7))
            for name in ("kernel_shape", "strides")]
    nodes = [_node("x", "v0", "AveragePool", *pool)]
    nodes += [_node(f"v{i}", f"v{i + 1}", operator) for i, operator in enumerate(operators)]
    last = [f"v{len(operators) - i}" for i in range(outputs)]
    graph = [*(_bytes(1, node) for node in nodes), _bytes(2, "tiny"), _bytes(11, _value("x", shape)),
             *(_bytes(12, _value(name, None)) for name in last)]
    return _number(1, 8) + _bytes(7, b"".join(graph)) + _bytes(8, _bytes(1, "") + _number(2, 17))


def _node(given: str, made: str, operator: str, *attributes: bytes) -> bytes:
    return _bytes(1, given) + _bytes(2, made) + _bytes(4, operator) + b"".join(attributes)


def _value(name: str, shape: tuple[int, ...] | None) -> bytes:
    sizes = b"" if shape is None else _bytes(2, b"".join(_bytes(1, _number(1, size)) for size in shape))
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, 1) + sizes))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])
