"""What an ONNX file says of itself, read from its bytes: no network is made, and no package is needed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mace_gov.core.errors import DetectorError


def normalises(data: bytes) -> bool:
    """Whether an ONNX network begins by subtracting and multiplying: then it takes levels of 0 to 255 as they are.

    Reads operators' names (onnx.proto3: graph 7, its nodes 1, their op_type 4) and nothing else. Raises DetectorError.
    """
    try:
        graph = next(value for field, value in _fields(memoryview(data)) if field == 7)
        nodes = (value for field, value in _fields(graph) if field == 1)
        names = (bytes(value).decode() for node in nodes for field, value in _fields(node) if field == 4)
        return list(islice((name for name in names if name != "Constant"), 2)) == ["Sub", "Mul"]
    except (StopIteration, IndexError, ValueError) as error:
        raise DetectorError("face: found a file that is no ONNX model, expected one") from error


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Fields of a protobuf message that have a length, by number. Raises IndexError or ValueError when it is none."""
    place = 0

    def number() -> int:
        nonlocal place
        value, shift = 0, 0
        while True:
            byte = data[place]
            place, value, shift = place + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while place < len(data):
        key = number()
        if key & 7 == 2:
            length = number()
            yield key >> 3, data[place:place + length]
            place += length
        elif key & 7 == 0:
            number()
        elif key & 7 in (1, 5):
            place += 8 if key & 7 == 1 else 4
        else:
            raise ValueError(f"found a field of kind {key & 7}")
