"""Programs that stand in for others on PATH, for runs that show how everything is wired, in seconds.

`python -m scripts.STAGE ARGUMENTS` becomes a program that notes its arguments and leaves empty files where
Snakemake's plan has the outputs of the job; Apptainer and Slurm become programs that note what they are told.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """One job of a plan; paths are relative to the folder of the run."""

    rule: str
    scene: str  # and, after a dot, the block or part, if the job is for one
    inputs: list[str]
    outputs: list[str]
    table: str  # of what it took, which Snakemake writes around the job; empty where the rule wants none


@dataclass(frozen=True)
class Call:
    """How a stage was called: its words, those behind each flag, and the image that it ran in."""

    words: list[str]
    told: dict[str, list[str]]
    image: str

    def options(self, flag: str = "--options") -> Any:
        """The JSON behind a flag."""
        (text,) = self.told[flag]
        return json.loads(text)


# What a dry-run says of a job.
JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", re.M)

PYTHON = """#!{python} -IS
import json, os, sys
if sys.argv[1:2] != ["-m"] or not sys.argv[2].startswith("scripts."):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])  # Snakemake itself
program, words = sys.argv[2][len("scripts."):], sys.argv[3:]
if "--kind" in words:  # one program of several rules
    program = "export_" + words[words.index("--kind") + 1]
with open({plan!r}) as plan:
    jobs = [job for job in json.load(plan) if job["rule"] == program]
def is_told(path):
    return any(path == word or path.startswith(word + "/") for word in words)
(job,) = [job for job in jobs if any(map(is_told, job["outputs"]))]
print("stand-in of", program)
if os.environ.get("FAILING") in (program, program + "." + job["scene"]):
    sys.exit("Error: " + program + " has no ink; fill it up")
missing = [path for path in job["inputs"] if not os.path.exists(path)]
assert not missing, missing
for path in job["outputs"]:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "w").close()
with open({calls!r} + "/" + program + "." + job["scene"], "w") as call:
    json.dump([words, os.environ.get("IMAGE", "")], call)
"""

# `apptainer exec OPTIONS IMAGE bash -c COMMAND`: the image is noted, and the command runs here.
APPTAINER = """#!{python} -IS
import os, sys
words = sys.argv[1:]
if words == ["--version"]:
    print("apptainer version 1.3.4")
elif words[0] == "pull":
    with open(words[-2], "w") as image:
        image.write(words[-1])
else:
    (image,) = [word for word in words if word.endswith(".simg")]
    os.environ["IMAGE"] = open(image).read()
    shell = words[words.index(image) + 1:]
    os.execvp(shell[0], shell)
"""

# A queue in which a job has ended as soon as it is asked for, and has only left its files.
SBATCH = """#!{python} -IS
import json, os, sys
words = sys.argv[1:]
comment = words[words.index("--comment") + 1]
with open({plan!r}) as plan:
    (job,) = [job for job in json.load(plan) if comment in (
        "rule_" + job["rule"], "rule_" + job["rule"] + "_wildcards_" + job["scene"].replace(".", "_"))]
for path in [*job["outputs"], *filter(None, [job["table"]])]:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "w").close()
with open({calls!r} + "/" + job["rule"] + "." + job["scene"], "w") as call:
    json.dump([words, ""], call)
print(len(os.listdir({calls!r})))
"""
SACCT = """#!{python} -IS
import os
for number in range(len(os.listdir({calls!r}))):
    print(str(number + 1) + "|COMPLETED")
"""


def jobs(plan: str) -> list[Job]:
    """The jobs that a dry-run tells."""
    found = []
    for rule, body in JOB.findall(plan):
        lines = dict(line.strip().partition(": ")[::2] for line in body.splitlines())
        if "output" in lines:
            inputs, outputs = (lines.get(key, "").split(", ") for key in ("input", "output"))
            told = dict(
                pair.split("=") for pair in re.findall(r"\w+=[^,]+", lines.get("wildcards", ""))
            )
            scene = ".".join(told[name] for name in ("scene", "block", "part") if name in told)
            table = lines.get("benchmark", "")
            found.append(Job(rule, scene, [path for path in inputs if path], outputs, table))
    return found


class StandIns:
    """The programs, in a folder of their own, and what was noted of their calls."""

    def __init__(self, folder: Path, planned: Iterable[Job], **programs: str) -> None:
        """Write `programs`, {name: text with {python}, {plan} and {calls}}, for a run with these jobs."""
        self.folder, self.calls, plan = folder / "bin", folder / "calls", folder / "plan.json"
        self.calls.mkdir(parents=True)
        self.folder.mkdir()
        plan.write_text(json.dumps([asdict(job) for job in planned]))
        for name, text in programs.items():
            path = self.folder / name
            places = {"plan": str(plan), "calls": str(self.calls), "python": sys.executable}
            path.write_text(text.format(**places))
            path.chmod(0o755)

    def called(self) -> dict[tuple[str, str], Call]:
        """The call of each (stage, scene) so far."""
        found = {}
        for path in self.calls.iterdir():
            words, image = json.loads(path.read_text())
            rule, _, scene = path.name.partition(".")
            found[rule, scene] = Call(words, _by_flag(words), image)
        return found


def _by_flag(words: Iterable[str]) -> dict[str, list[str]]:
    """The words behind each flag."""
    told: dict[str, list[str]] = {}
    values: list[str] = []
    for word in words:
        if word.startswith("--"):
            values = told.setdefault(word, [])
        else:
            values.append(word)
    return told
