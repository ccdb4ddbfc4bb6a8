"""The threads that a rule declares are those that its script uses: handed over, taken, kept by every pool."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.lib.core import threads
from tests.conftest import ROOT

LIB = ROOT / "scripts" / "lib"
RULES = {
    name: body
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for name, body in re.findall(r"(?ms)^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text())
}
THREADED = [name for name, body in RULES.items() if int(re.search(r"threads: (\d+)", body)[1]) > 1]  # type: ignore[index]
POOLS = {"ThreadPoolExecutor", "ProcessPoolExecutor", "Pool", "ThreadPool"}
# What is no text.
GIVEN = {"--block": "1", "--part": "1", "--parts": "2", "--frame": "local", "--kind": "glb"}
# A few threads that wait for the network.
UPLOADERS = {"train/checkpoint.py", "cloud/client/transfer.py"}


def test_the_rules_are_all_found() -> None:
    assert len(RULES) > 15 and "undistort" in THREADED and "bundle_web" not in THREADED


@pytest.mark.parametrize("rule", THREADED)
def test_the_rule_hands_its_threads_to_its_script(rule: str) -> None:
    assert "--threads {threads}" in RULES[rule].split("shell:")[1]


@pytest.mark.parametrize("rule", THREADED)
def test_the_script_takes_them_before_anything_heavy(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each program decides by `use_threads`; here it ends there, so nothing is computed."""
    (program,) = re.findall(r"python -m (scripts\.\w+)", RULES[rule].split("shell:")[1])
    script = importlib.import_module(program)

    class TakenError(Exception):
        pass

    def take(count: int) -> int:
        raise TakenError(count)

    monkeypatch.setattr(script, "use_threads", take)
    arguments = ["--threads", "3"]
    for flag in re.findall(r"(--[\w-]+) \{", RULES[rule].split("shell:")[1]):
        if flag not in ("--threads", "--gpus"):
            arguments += [flag, GIVEN.get(flag, "{}")]
    with pytest.raises(TakenError, match="^3$"):
        script.main([*arguments, *(["--gpus", "1"] if "--gpus" in RULES[rule] else [])])


def calls(path: Path) -> list[tuple[str, str]]:
    """Name and arguments of every call in a file."""
    tree = ast.parse(path.read_bytes())
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else None
            name = node.func.id if isinstance(node.func, ast.Name) else name
            found.append((str(name), ast.unparse(node)))
    return found


@pytest.mark.parametrize("path", sorted(LIB.rglob("*.py")), ids=lambda p: str(p.relative_to(LIB)))
def test_every_pool_is_bounded(path: Path) -> None:
    """By `threads()`, or by what the rule gave; and nobody asks the machine how many cores it has."""
    for name, text in calls(path):
        if name in POOLS and path.relative_to(LIB).as_posix() not in UPLOADERS:
            assert re.search(r"\(.*(threads\(\)|workers)", text), text
        if name in ("cpu_count", "sched_getaffinity", "process_cpu_count"):
            # The manifest tells of the machine; it starts nothing.
            assert path.name in ("threads.py", "provenance.py"), text


def test_never_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 4)
    monkeypatch.setattr(threads, "_chosen", 0)
    for name in threads._LIBRARIES:
        monkeypatch.setenv(name, "9")
    monkeypatch.setattr(threads.sys, "modules", {})  # nothing numerical is loaded
    assert threads.threads() == 4 and threads.use_threads(0) == 4
    assert os.environ["OMP_NUM_THREADS"] == "9", "left to whoever set it"
    assert threads.use_threads(3) == threads.threads() == 3
    assert {os.environ[name] for name in threads._LIBRARIES} == {"3"}
    assert threads.use_threads(64) == threads.threads() == 4


def test_libraries_keep_to_it() -> None:
    """In a process of its own, as a rule's script is: torch, our kernels and the pools use one thread."""
    code = (
        "from scripts.lib.core.threads import threads, use_threads; use_threads(1);"
        "import torch; from scripts.lib.core import jit;"
        "print(threads(), torch.get_num_threads(), jit.threads())"
    )
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["1", "1", "1"]
