"""Check that an Ed25519 public key is a canonical point of full order (RFC 8032, section 5.1).

A key of small order verifies signatures that nobody made, and one with a part of small order or a second encoding lets
verifiers disagree. OpenSSL takes any 32 bytes.
"""

from __future__ import annotations

from functools import cache

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group that key pairs live in; the whole curve has eight times as many points."""
_D = -121665 * pow(121666, -1, PRIME) % PRIME
_ROOT = pow(2, (PRIME - 1) // 4, PRIME)
_Point = tuple[int, int, int, int]
_NEUTRAL: _Point = (0, 1, 1, 0)


@cache
def point_problem(encoded: bytes) -> str | None:
    """What is wrong with the 32 bytes of a public key, in words; None when a key pair may have it."""
    value = int.from_bytes(encoded, "little")
    y, odd = value % 2**255, value >> 255
    if y >= PRIME:
        return "is not in canonical form"
    x = _x_of(y)
    if x is None:
        return "is no point of the curve"
    if x == 0 and odd:
        return "is not in canonical form"
    if x % 2 != odd:
        x = PRIME - x
    point = (x, y, 1, x * y % PRIME)
    if _is_neutral(_times(8, point)):
        return "is of small order: signatures that nobody made hold under it"
    return None if _is_neutral(_times(ORDER, point)) else "has a part of small order, which no key pair has"


def _x_of(y: int) -> int | None:
    square = (y * y - 1) * pow(_D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * _ROOT % PRIME
    return None if (x * x - square) % PRIME else x


def _times(factor: int, point: _Point) -> _Point:
    total = _NEUTRAL
    while factor:
        if factor & 1:
            total = _add(total, point)
        point, factor = _add(point, point), factor >> 1
    return total


def _add(p: _Point, q: _Point) -> _Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % PRIME, (p[1] + p[0]) * (q[1] + q[0]) % PRIME
    c, d = 2 * p[3] * q[3] * _D % PRIME, 2 * p[2] * q[2] % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def _is_neutral(point: _Point) -> bool:
    return point[0] % PRIME == 0 and (point[1] - point[2]) % PRIME == 0
