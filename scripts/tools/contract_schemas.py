"""Write config/schemas/results/*.json, the schemas of the files that stages hand on, from their types.

python -m scripts.tools.contract_schemas [--check]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.schema import kinds, schema
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import UserError, run_main, say
from scripts.lib.core.files import write_bytes

FOLDER = Path("config") / "schemas" / "results"


def texts() -> dict[str, str]:
    """The content of each schema by the name of its file."""
    return {
        f"{Path(kind.file).stem}.schema.json": json.dumps(schema(kind), indent=2) + "\n"
        for kind in kinds()
    }


def differing(root: Path) -> list[str]:
    """Names of schemas in the checkout `root` that are missing, out of date, or of no type."""
    wanted = texts()
    there = {path.name: path.read_text() for path in (root / FOLDER).glob("*.schema.json")}
    return sorted(name for name in {*wanted, *there} if wanted.get(name, "") != there.get(name, ""))


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.tools.contract_schemas")
    parser.add_argument("--check", action="store_true", help="only say whether they are up to date")
    args = parser.parse_args(argv)
    changed = differing(ROOT)
    if args.check and changed:
        raise UserError(
            f"{FOLDER / changed[0]} is out of date; run python -m scripts.tools.contract_schemas"
        )
    wanted = texts()
    for name in changed:
        if name in wanted:
            write_bytes(ROOT / FOLDER / name, wanted[name].encode())
        else:
            (ROOT / FOLDER / name).unlink()
        say(f"{FOLDER / name} written" if name in wanted else f"{FOLDER / name} removed")


if __name__ == "__main__":
    run_main(main)
