"""What any JSON is made of, for content that is another's: options of a stage, answers of a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

OPEN = "any JSON"  # tells it from other unions, where types are read at run time
Json = Annotated[
    "None | bool | int | float | str | Sequence[Json] | Mapping[str, Json]",
    OPEN,
]


@dataclass(frozen=True)
class Bounds:
    """What a value of a field must be besides its type: keywords of JSON schema."""

    keywords: tuple[tuple[str, str | int | bool], ...]


def bounds(**keywords: str | int | bool) -> Bounds:
    """For `Annotated`: `bounds(minLength=1)`."""
    return Bounds(tuple(keywords.items()))
