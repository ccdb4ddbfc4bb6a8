"""Values of any type that the files which stages hand on are made of, for hypothesis."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st

from scripts.lib.contracts.record import hints_of, is_required

NAMES = st.text("abcxyz_.é", min_size=1, max_size=8)
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(max_size=12),
    type(None): st.none(),
}
OPEN = st.one_of(st.none(), st.booleans(), st.integers(), NAMES, st.lists(NAMES, max_size=2))


def records(kind: Any, bare: bool = False) -> st.SearchStrategy[Any]:
    """Records of a dataclass; `bare` ones have nothing but what must be there."""
    hints = hints_of(kind)
    fields = [item for item in dataclasses.fields(kind) if is_required(item) or not bare]
    return st.builds(kind, **{item.name: values(hints[item.name]) for item in fields})


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of the type of a field."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return OPEN
    if origin in (Union, types.UnionType):
        return st.one_of(*map(values, inner))
    if origin is Literal:
        return st.sampled_from(inner)
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(values(inner[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, inner))
    if origin in (dict, Mapping):
        return st.dictionaries(NAMES, values(inner[1]), max_size=2)
    if dataclasses.is_dataclass(kind):
        return records(typing.cast(Any, kind))
    return SCALARS[kind]
