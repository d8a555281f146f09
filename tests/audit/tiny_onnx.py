"""The smallest ONNX models that can be told apart, written by hand in the protobuf wire format of onnx.proto3."""

from __future__ import annotations

import struct
from collections.abc import Sequence

FRONTAL = ((-1.0, -1.0), (1.0, -1.0), (0.0, 0.0), (-1.0, 1.0), (1.0, 1.0))
"""Five landmarks around the middle of a face."""


def finder(landmarks: Sequence[Sequence[float]] = FRONTAL, *, stride: int = 16, broken: bool = False) -> bytes:
    """A detection network in YuNet's form, which takes every cell of pure red for the middle of a face.

    landmarks: five places from the middle, in cells. stride: side of a cell in pixels of the picture as it is given.
    broken: its places are not finite.
    """
    nodes, weights, outputs = [], [], []
    for cell in (8, 16, 32):
        nodes.append(_node("input", f"pool{cell}", "AveragePool", _ints("kernel_shape", cell, cell),
                           _ints("strides", cell, cell)))
        places = [value for place in landmarks for value in place]
        for name, bias in (("cls", [-100.0]), ("obj", [100.0]), ("bbox", [0.0, 0.0, 2.0, 2.0]), ("kps", places)):
            red = [-0.5, -0.5, 0.5] if name == "cls" and cell == stride else [0.0] * 3  # blue, green, red
            bias = [float("inf")] * len(bias) if broken and name == "kps" else bias
            here = f"{name}_{cell}"
            weights += [_tensor(f"w{here}", (len(bias), 3, 1, 1), red * len(bias)),
                        _tensor(f"b{here}", (len(bias),), bias), _tensor(f"s{here}", (3,), (1, -1, len(bias)))]
            nodes.append(_node((f"pool{cell}", f"w{here}", f"b{here}"), f"c{here}", "Conv",
                               _ints("kernel_shape", 1, 1)))
            last = f"c{here}"
            if name in ("cls", "obj"):
                nodes.append(_node(last, last := f"p{here}", "Sigmoid"))
            nodes.append(_node(last, f"t{here}", "Transpose", _ints("perm", 0, 2, 3, 1)))
            nodes.append(_node((f"t{here}", f"s{here}"), here, "Reshape"))
            outputs.append(_value(here, (1, (640 // cell) ** 2, len(bias))))
    graph = [*(_bytes(1, node) for node in nodes), _bytes(2, "tiny"), *weights,
             _bytes(11, _value("input", (1, 3, 640, 640))), *(_bytes(12, each) for each in outputs)]
    return _number(1, 8) + _bytes(7, b"".join(graph)) + _bytes(8, _bytes(1, "") + _number(2, 12))


def network(
    *operators: str, shape: tuple[int, ...] = (1, 3, 112, 112), outputs: int = 1, own_levels: bool = False
) -> bytes:
    """A model that pools a picture of ``shape`` to 4 x 4 and puts it through further operators, as bytes.

    outputs: how many of the last values are given out. own_levels: it begins by making levels of -1 to 1.
    """
    pool = [_bytes(5, _bytes(1, name) + b"".join(_number(8, 28) for _ in "hw") + _number(20, 7))
            for name in ("kernel_shape", "strides")]
    first = [_node(("x", "half"), "x1", "Sub"), _node(("x1", "share"), "x2", "Mul")] if own_levels else []
    weights = [_tensor("half", (), (127.5,)), _tensor("share", (), (1 / 127.5,))] if own_levels else []
    nodes = [*first, _node("x2" if own_levels else "x", "v0", "AveragePool", *pool)]
    nodes += [_node(f"v{i}", f"v{i + 1}", operator) for i, operator in enumerate(operators)]
    last = [f"v{len(operators) - i}" for i in range(outputs)]
    graph = [*(_bytes(1, node) for node in nodes), _bytes(2, "tiny"), *weights, _bytes(11, _value("x", shape)),
             *(_bytes(12, _value(name, None)) for name in last)]
    return _number(1, 8) + _bytes(7, b"".join(graph)) + _bytes(8, _bytes(1, "") + _number(2, 17))


def _node(given: str | Sequence[str], made: str, operator: str, *attributes: bytes) -> bytes:
    names = [given] if isinstance(given, str) else given
    inputs = b"".join(_bytes(1, name) for name in names)
    return inputs + _bytes(2, made) + _bytes(4, operator) + b"".join(attributes)


def _ints(name: str, *values: int) -> bytes:
    return _bytes(5, _bytes(1, name) + b"".join(_number(8, value) for value in values) + _number(20, 7))


def _tensor(name: str, shape: Sequence[int], values: Sequence[float]) -> bytes:
    """An initializer of float32, or of int64 where the values are whole."""
    whole = all(isinstance(value, int) for value in values)
    data = struct.pack(f"<{len(values)}{'q' if whole else 'f'}", *values)
    dims = b"".join(_number(1, size) for size in shape)
    return _bytes(5, dims + _number(2, 7 if whole else 1) + _bytes(8, name) + _bytes(9, data))


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
