"""How time, memory, bytes and dollars of every stage grow with the size of a scene.

    python -m tests.bench.scale                                   # every stage at its own few sizes
    python -m tests.bench.scale choose_pairs match_photos --sizes 250,500,1000,2000 --store scale.json
    python -m tests.bench.scale --store scale.json --table        # the table of what was stored

Prints one JSON line: of each stage, for each size, CPU seconds (user and system), peak memory, the bytes that
it wrote, and dollars at the prices of config/aws/prices.yaml; and the exponents b of a fit size^b by least
squares of the logarithms. 1 is linear. `--store` keeps the numbers in a file and adds to those that it has,
so that stages and sizes can be measured one by one. The first run of all compiles code: leave it out, or
measure its size again. Stages are those of the modules of tests/bench/scaling.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads are no work

from scripts.lib.workflow.cost import CPU_MACHINE, GPU_MACHINE, PRICES, read_prices  # noqa: E402
from tests.bench.scaling import Stage, stages, stages_of  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20
Numbers = dict[str, Any]


def measure(module: str, stage: Stage, size: int, home: Path) -> Numbers:
    """One stage of a module at one size, its input made before if it is not there."""
    made = home / (stage.input or stage.name) / str(size)
    if not made.exists():
        # Under another name until it is whole: a stopped one must not be taken for made.
        part = made.with_name(f"{size}.part")
        part.mkdir(parents=True, exist_ok=True)
        _child(module, stage, "make", size, part, part)
        part.rename(made)
    with tempfile.TemporaryDirectory(prefix="out.", dir=home) as out:
        return _child(module, stage, "run", size, made, Path(out))


def _child(module: str, stage: Stage, what: str, size: int, made: Path, out: Path) -> Numbers:
    words = [sys.executable, "-m", "tests.bench.scale", "--child", module, stage.name, what]
    words += [str(size), str(made), str(out)]
    done = subprocess.run(words, cwd=ROOT, text=True, stdout=subprocess.PIPE)
    if done.returncode:
        raise SystemExit(f"{stage.name} failed at {size} {stage.unit}")
    found: Numbers = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def child(module: str, name: str, what: str, size: int, made: Path, out: Path) -> Numbers:
    """The work of a process of its own, which loads no other module: `make`, or `run` and what it took."""
    stage = next(stage for stage in stages_of(module) if stage.name == name)
    if what == "make":
        stage.make(size, made)
        return {}
    base, before, began = _status("VmRSS"), _cpu(), time.monotonic()
    facts = stage.run(size, made, out)
    wall, used = time.monotonic() - began, _cpu() - before
    # Of this process by its own counter: the other one remembers what was there before `exec`.
    below = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "cpu_s": round(used, 2),
        "wall_s": round(wall, 2),
        "peak_mb": round(max(_status("VmHWM"), below)),
        "base_mb": round(base),
        "bytes": sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        "usd": _dollars(stage, used, wall),
        **facts,
    }


def _cpu() -> float:
    both = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def _status(key: str) -> float:
    """MiB of a line of this process's status: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:"))


def _dollars(stage: Stage, cpu_s: float, wall_s: float) -> float:
    """On demand: vCPUs that are busy all the time, or a GPU machine for as long as it took here."""
    machines = read_prices(PRICES).machines
    if stage.gpu:
        return float(f"{machines[GPU_MACHINE].on_demand * wall_s / 3600:.3g}")
    machine = machines[CPU_MACHINE]
    return float(f"{machine.on_demand / machine.vcpus * cpu_s / 3600:.3g}")


def exponents(of_sizes: Mapping[str, Numbers]) -> dict[str, float]:
    """For each number that is positive at two sizes or more, b of the best fit a size^b."""
    found = {}
    keys = {key for numbers in of_sizes.values() for key in numbers}
    for key in sorted(keys):
        points = [
            (int(size), value)
            for size, numbers in of_sizes.items()
            if isinstance(value := numbers.get(key), int | float) and value > 0
        ]
        if len(points) >= 2:
            x, y = np.log(np.array(points, float)).T
            found[key] = round(float(np.polyfit(x, y, 1)[0]), 2)
    return found


def table(stored: Mapping[str, Any]) -> str:
    """Rows of Markdown: a stage, its largest size, what it took there, and how it grows."""
    head = [
        "stage",
        "measured at",
        "CPU s",
        "peak MB",
        "MB written",
        "$",
        "exponents of CPU, memory",
    ]
    rows = [head, ["---"] * len(head)]
    for name, found in stored.items():
        sizes = sorted(found["sizes"], key=int)
        last, powers = found["sizes"][sizes[-1]], found["exponents"]
        rows.append(
            [
                name,
                f"{', '.join(f'{int(size):,}' for size in sizes)} {found['unit']}",
                f"{last['cpu_s']:.0f}",
                f"{last['peak_mb']:.0f}",
                f"{last['bytes'] / MIB:.0f}",
                f"{last['usd']:.2g}",
                f"{powers.get('cpu_s', 0):.2f}, {powers.get('peak_mb', 0):.2f}",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="default: all")
    parser.add_argument("--sizes", help="comma-separated; default: each stage's own")
    parser.add_argument("--folder", type=Path, help="keep what is made there, and use it again")
    parser.add_argument("--store", type=Path, help="JSON file to which the numbers are added")
    parser.add_argument(
        "--table", action="store_true", help="print what is stored, measure nothing"
    )
    parser.add_argument("--child", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child:
        module, name, what, size, made, out = args.child
        print(json.dumps(child(module, name, what, int(size), Path(made), Path(out))))
        return
    stored: dict[str, Any] = {}
    if args.store and args.store.exists():
        stored = json.loads(args.store.read_text())
    if args.table:
        print(table(stored))
        return
    known = stages()
    if unknown := set(args.stages) - set(known):
        parser.error(f"no stage {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    sizes = [int(size) for size in args.sizes.split(",")] if args.sizes else None
    with tempfile.TemporaryDirectory(prefix="scale.") as temporary:
        home = (args.folder or Path(temporary)).resolve()
        home.mkdir(parents=True, exist_ok=True)
        for name in args.stages or known:
            module, stage = known[name]
            for size in sizes or stage.sizes:
                found = stored.setdefault(name, {"unit": stage.unit, "sizes": {}})
                found["sizes"][str(size)] = measure(module, stage, size, home)
                found["exponents"] = exponents(found["sizes"])
                print(name, size, json.dumps(found["sizes"][str(size)]), file=sys.stderr)
                if args.store:
                    args.store.write_text(json.dumps(stored, indent=1) + "\n")
    print(json.dumps(stored))


if __name__ == "__main__":
    main()
