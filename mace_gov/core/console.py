"""Rich's console, for text from outside."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import rich.console
from rich.segment import Segment

from mace_gov.core.terminal import harmless


class Console(rich.console.Console):
    """A console on which the only escapes are Rich's own, for the styles that the code names.

    Square brackets are square brackets: nothing is markup, a link or an emoji unless it was built as one.
    """

    def __init__(self, **options: Any) -> None:
        plain = {"markup": False, "emoji": False, "highlight": False}
        # Not looked up anew at each write, as Rich does: while bars are live the streams lead to this very console.
        stream = sys.stderr if options.get("stderr") else sys.stdout
        super().__init__(**{**plain, "file": getattr(stream, "rich_proxied_file", stream), **options})

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """See ``rich.console.Console.render``; the texts of all segments are harmless."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))
