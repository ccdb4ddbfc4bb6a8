"""Write envs/<stage>.yaml, the conda twins of the stages' pip locks: `python -m scripts.tools.conda_envs`.

Conda brings Python; every package comes from PyPI in the locked version, so `--sdm conda`, pip and the
images run the same software.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.core.checkout import ROOT
from scripts.lib.core.files import write_bytes
from scripts.tools.locks import COMMAND, CUDA, named, requirements

# Conda environments by their locks: what the page needs, its image has only while it is built.
STAGES = {"sfm": ("sfm",), "train": ("train",), "web": ("web", "node")}

HEAD = """\
# Generated from {stage}.in by `{command}`; edit that and run this.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def conda_env(envs: Path, stage: str) -> str:
    """The text of envs/<stage>.yaml."""
    locked = [pin for lock in STAGES[stage] for pin in requirements(envs / f"{lock}.txt")]
    # Torch's CUDA packages are left to pip, as it takes them: on some machines its torch comes without.
    ours = set().union(*(named(envs, lock) for lock in STAGES[stage]))
    pins = [pin for pin in locked if not CUDA.fullmatch(pin.name) or pin.name in ours]
    lines = [f'      - "{str(pin).replace(chr(34), chr(39))}"' for pin in pins]
    return HEAD.format(stage=stage, command=COMMAND) + "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Write the conda environment of every stage."""
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    for stage in STAGES:
        write_bytes(ROOT / "envs" / f"{stage}.yaml", conda_env(ROOT / "envs", stage).encode())


if __name__ == "__main__":
    main()
