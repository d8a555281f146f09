"""What all documents share: frozen, strict about unknown keys, camelCase outside and snake_case inside."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, GetJsonSchemaHandler, StringConstraints
from pydantic.alias_generators import to_camel

from mace_gov.core.canonical import canonical_json, digest_of
from mace_gov.core.phrases import tidy

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest in lower-case hexadecimal."""

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""An identifier that is safe as a file name: lower-case letters, digits, dot, dash, underscore."""


Location = tuple[str | int, ...]
"""A place in a document: keys and indices from the top."""

RuleId = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]*(-[A-Z0-9]+)+$", max_length=40)]
"""Like NSFW-001."""


def tidied(text: str) -> str:
    """``text`` tidied, for a field. Raises ValueError when nothing of it can be seen."""
    if not (seen := tidy(text)):
        raise ValueError("found nothing that can be seen, expected words")
    return seen


def control(text: str, but: str = "\n\t") -> str | None:
    """What is wrong with ``text`` where it holds a control character that is not in ``but``: nobody sees those."""
    found = next((char for char in text if unicodedata.category(char) == "Cc" and char not in but), None)
    return None if found is None else f"found the control character U+{ord(found):04X}, expected text that can be seen"


def _one_line(text: str) -> str:
    if problem := control(text) or control(text, ""):
        raise ValueError(problem)
    return text


def _day(value: Any) -> date:
    if type(value) is date:
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise ValueError(f"found {value}, which is in no calendar, expected a date such as 2027-06-01") from error
    found = repr(value)
    raise ValueError(f"found {found if len(found) <= 60 else found[:57] + '...'}, expected a date such as 2027-06-01")


Person = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120), AfterValidator(tidied)
]
"""A team or a person who answers for something, tidied."""

Phrase = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^{}\n]+$"),
    AfterValidator(tidied),
]
"""Words as they stand in a prompt, without braces or line breaks, tidied: composed, visible, single blanks."""

class _OneLine:
    """The same for whoever reads the published schema."""

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}


Line = Annotated[str, AfterValidator(_one_line), _OneLine()]
"""A name or a path: one line, without control characters."""

Day = Annotated[date, BeforeValidator(_day)]
"""A date as YEAR-MONTH-DAY, and nothing else that may stand for one."""


class Document(BaseModel):
    """Base of every document that passes from stage to stage: frozen, no unknown fields, camelCase in JSON."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, camelCase keys, absent optional fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def canonical(self) -> bytes:
        """Canonical JSON bytes, the form that is signed and stored."""
        return canonical_json(self.to_json())

    def content_digest(self) -> str:
        """SHA-256 of the canonical form."""
        return digest_of(self.to_json())

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Validate plain JSON values."""
        return cls.model_validate(value)


class Written(Document):
    """Base of what people write in YAML: every value has the type that its schema names; none is read as another."""

    model_config = ConfigDict(strict=True)
