"""Rules talk to scripts by argv only: every flag that a rule passes is one its script knows."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
# A `shell:` section: string literals, one below the other.
COMMANDS = [
    "".join(re.findall(r'"([^"]*)"', block))
    for block in re.findall(r"\n    shell:\n((?:        \".*\n)+)", RULES)
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.split("scripts.")[1].split()[0])
def test_the_script_knows_every_flag(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = re.match(r"python -m (scripts\.\w+)", command)
    assert name, command
    with pytest.raises(SystemExit):
        importlib.import_module(name.group(1)).main(["--help"])
    known = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", capsys.readouterr().out))
    passed = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", command))
    assert passed and passed <= known, f"unknown to {name.group(1)}: {sorted(passed - known)}"


def test_every_rule_with_a_command_is_looked_at() -> None:
    assert len(COMMANDS) == RULES.count("\n    shell:\n") >= 15
