"""The template as CloudFormation sees it for given parameters: conditions decided, texts put together.

What only a made resource has stays a name: `Bucket`, `Web.DomainName`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::AccountId": "123456789012",
    "AWS::URLSuffix": "amazonaws.com",
}
NOTHING = object()  # AWS::NoValue
LISTS = "CommaDelimitedList"


@dataclass(frozen=True)
class Evaluated:
    """What there is of a template under some parameters."""

    resources: dict[str, dict[str, Any]]
    outputs: dict[str, dict[str, Any]]


class _Evaluator:
    """Intrinsic functions of CloudFormation ("Intrinsic function reference"), those that ours uses."""

    def __init__(self, body: dict[str, Any], given: dict[str, str], stack: str) -> None:
        unknown = set(given) - set(body["Parameters"])
        assert not unknown, unknown
        self.conditions: dict[str, Any] = body["Conditions"]
        self.values: dict[str, Any] = PSEUDO | {"AWS::StackName": stack, "AWS::NoValue": NOTHING}
        for name, parameter in body["Parameters"].items():
            value = given.get(name, str(parameter.get("Default", "me@example.org")))
            self.values[name] = value.split(",") if parameter["Type"] == LISTS else value

    def met(self, condition: str) -> bool:
        """Whether a named condition holds."""
        return bool(self.of(self.conditions[condition]))

    def of(self, value: Any) -> Any:
        """A value without functions."""
        if isinstance(value, list):
            return [one for one in map(self.of, value) if one is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                return getattr(self, "_" + name.removeprefix("Fn::").lower())(argument)
        found = {key: self.of(one) for key, one in value.items()}
        return {key: one for key, one in found.items() if one is not NOTHING}

    def _ref(self, name: str) -> Any:
        return self.values.get(name, name)

    def _condition(self, name: str) -> bool:
        return self.met(name)

    def _getatt(self, path: list[str]) -> str:
        return ".".join(path)

    def _if(self, argument: list[Any]) -> Any:
        return self.of(argument[1 if self.met(argument[0]) else 2])

    def _equals(self, argument: list[Any]) -> bool:
        first, second = self.of(argument)
        return str(first) == str(second)

    def _not(self, argument: list[Any]) -> bool:
        return not self.of(argument[0])

    def _and(self, argument: list[Any]) -> bool:
        return all(self.of(argument))

    def _or(self, argument: list[Any]) -> bool:
        return any(self.of(argument))

    def _join(self, argument: list[Any]) -> str:
        return str(argument[0]).join(map(str, self.of(argument[1])))

    def _split(self, argument: list[Any]) -> list[str]:
        return str(self.of(argument[1])).split(argument[0])

    def _select(self, argument: list[Any]) -> str:
        found = self.of(argument[1])
        # Which zones a region has, nobody here knows.
        return (
            str(found[int(argument[0])]) if isinstance(found, list) else f"{argument[0]} of {found}"
        )

    def _getazs(self, _: str) -> str:
        return "zones"

    def _sub(self, argument: Any) -> str:
        text, own = argument if isinstance(argument, list) else (argument, {})
        known = self.values | self.of(own)
        return re.sub(r"\$\{([^}!]+)\}", lambda name: str(known.get(name[1], name[1])), text)


def evaluated(body: dict[str, Any], stack: str = "splats", **given: str) -> Evaluated:
    """A template's resources and outputs under parameters; the others have their defaults."""
    evaluator = _Evaluator(body, given, stack)

    def kept(part: str) -> dict[str, dict[str, Any]]:
        there = {
            name: {key: one for key, one in entry.items() if key != "Condition"}
            for name, entry in body[part].items()
            if "Condition" not in entry or evaluator.met(entry["Condition"])
        }
        return {name: evaluator.of(entry) for name, entry in there.items()}

    return Evaluated(kept("Resources"), kept("Outputs"))
