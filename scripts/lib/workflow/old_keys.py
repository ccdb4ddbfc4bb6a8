"""Keys of earlier versions of the configuration, each refused with the one that holds now."""

from __future__ import annotations

from typing import Any

# Once a key of single rules, now one for all, at the top of the configuration and in the sheet.
FOR_ALL_RULES = ("seed", "device", "preset")
RENAMED: dict[str, str] = {}
REMOVED = dict.fromkeys(
    ("evaluate_splat.holdout", "check_codecs.holdout"),
    "the photos that judge are those that train_splat.holdout or train_splat.held_out kept from training",
)


def advice(key: str, value: Any = None) -> str | None:
    """What to tell of an old key, `rule.option` or one at the top; None for a key that is no old one."""
    rule, dot, name = key.partition(".")
    if key in RENAMED:
        return f"{key!r} is now {RENAMED[key]!r}; write that instead"
    if key in REMOVED:
        return f"{key!r} is no option any more; remove it: {REMOVED[key]}"
    if dot and name in FOR_ALL_RULES:
        written = f"'{name}: {value}'" if value is not None else f"{name!r}"
        return (
            f"{key!r} is now one key for all rules; write {written} at the top of the configuration,"
            f" or give the sheet a column {name}"
        )
    return None
