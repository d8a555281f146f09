"""Edits of JSON values, drawn by hypothesis: one place changed or taken out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests import factories

Draw = Callable[[st.SearchStrategy], Any]
OTHERS = (None, 0, 1, 1e300, "", "PASS", "PASSED", [], {}, [None], {"a": []}, True, factories.hexa("forged"))


def places(value: Any, here: tuple = ()) -> list[tuple]:
    """Every place in a JSON value, the value itself left out."""
    found = [here] if here else []
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        items = ()
    for key, below in items:
        found += places(below, (*here, key))
    return found


def edit(value: Any, draw: Draw) -> Any:
    """The JSON value with one place changed or removed; never equal to the old one."""
    *way, last = draw(st.sampled_from(places(value)))
    edited = json.loads(json.dumps(value))
    holder = edited
    for key in way:
        holder = holder[key]
    old = holder[last]
    if draw(st.booleans()):
        del holder[last]
    else:
        holder[last] = draw(st.sampled_from([other for other in OTHERS if (type(other), other) != (type(old), old)]))
    return edited
