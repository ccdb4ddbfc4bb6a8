"""Bring the workflow's sources and the API's code into the stack's bucket, and say how to deploy them.

Both are zips named after their content, so a running coordinator keeps the sources that it started with.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.utils import canonicalize_name

from scripts.lib.cloud.routes import DOCUMENT
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import UserError, run_main, say
from scripts.lib.core.digest import code_files
from scripts.lib.core.files import add_to_zip, sha256, writing_zip
from scripts.lib.storage.places import Bucket
from scripts.lib.workflow.container_images import Image, read_lock
from scripts.tools.images import configured_registry
from scripts.tools.locks import pins

API = "lib/cloud/handlers"  # below scripts/
API_PACKAGES = ("jsonschema", "PyYAML")  # boto3 is Lambda's own
SCHEMAS = ("config", "scenes")


def workflow_files() -> list[Path]:
    """What git tracks, without the tests: all that a coordinator needs."""
    command = ["git", "ls-files"]
    listed = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout
    names = [name for name in listed.splitlines() if not name.startswith("tests/")]
    return [Path(name) for name in names if (ROOT / name).is_file()]


def api_files() -> list[Path]:
    """The handlers, what they import of this project, the schemas and the description."""
    code = [path.relative_to(ROOT) for path in code_files(ROOT, API)]
    packages = {parent / "__init__.py" for path in code for parent in path.parents}
    inits = [path for path in packages if (ROOT / path).is_file()]
    schemas = [Path(f"config/schemas/{name}.schema.yaml") for name in SCHEMAS]
    return sorted({*code, *inits, *schemas, DOCUMENT})


def write_zip(target: Path, files: Iterable[Path], packages: Path | None = None) -> None:
    """Zip files of the checkout and, at its top, whatever lies in the folder `packages`."""
    with writing_zip(target) as archive:
        for path in files:
            add_to_zip(archive, path.as_posix(), (ROOT / path).read_bytes())
        for path in sorted(packages.rglob("*")) if packages else []:
            if path.is_file():
                add_to_zip(
                    archive, path.relative_to(packages or path).as_posix(), path.read_bytes()
                )


def install_packages(folder: Path) -> None:
    """Install what the API needs for Lambda's Python on x86: versions and hashes of envs/cloud.txt.

    Raises UserError when pip cannot.
    """
    locked = {
        canonicalize_name(pin.requirement.name): pin
        for pin in pins((ROOT / "envs" / "cloud.txt").read_text(encoding="utf-8"))
    }
    with tempfile.TemporaryDirectory() as scratch:
        # pip checks hashes only of what it is told by name: first it says what that is.
        limits, report = Path(scratch, "limits.txt"), Path(scratch, "report.json")
        limits.write_text("".join(f"{pin.requirement}\n" for pin in locked.values()))
        told = ["--dry-run", "--ignore-installed", "--report", str(report), "-c", str(limits)]
        _pip(folder, *told, *API_PACKAGES)
        found = [item["metadata"]["name"] for item in json.loads(report.read_text())["install"]]
        chosen = Path(scratch, "chosen.txt")
        wanted = [locked[canonicalize_name(name)] for name in found]
        chosen.write_text(
            "".join(
                " ".join([str(pin.requirement), *(f"--hash={digest}" for digest in pin.hashes)])
                + "\n"
                for pin in wanted
            )
        )
        # Compiled files hold dates, by which the same code would be another zip each time.
        _pip(folder, "--no-compile", "--no-deps", "--require-hashes", "-r", str(chosen))


def _pip(folder: Path, *arguments: str) -> None:
    """`pip install` into a folder, for Lambda. Raises UserError with pip's last word."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder)]
    command += ["--platform", "manylinux2014_x86_64", "--python-version", "3.13"]
    result = subprocess.run(
        [*command, "--only-binary=:all:", *arguments], text=True, capture_output=True
    )
    if result.returncode:
        last = (result.stderr.splitlines() or ["no message"])[-1]
        raise UserError(
            f"pip could not fetch {', '.join(API_PACKAGES)} for the API: {last.strip()}"
        )


def parameters(keys: Mapping[str, str], runner: Image, registry: str) -> str:
    """What to deploy the stack with: the keys of the zips, and the runner's image, by digest once locked."""
    said = {"WorkflowCode": keys["workflow"], "ApiCode": keys["api"], "RunnerTag": runner.tag}
    said["RunnerDigest"] = runner.digests.get(registry, "")
    return " ".join(f"{name}={value}" for name, value in said.items())


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.tools.deploy_aws", description=__doc__)
    parser.add_argument("--bucket", required=True, help="the stack's bucket")
    args = parser.parse_args(argv)
    there = Bucket(f"s3://{args.bucket}/releases")
    keys = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        install_packages(folder / "packages")
        write_zip(folder / "workflow.zip", workflow_files())
        write_zip(folder / "api.zip", api_files(), folder / "packages")
        for kind in ("workflow", "api"):
            path = folder / f"{kind}.zip"
            name = f"{kind}-{sha256(path)[:16]}.zip"
            there.put(name, path)
            keys[kind] = f"{there.prefix}{name}"
    told = parameters(keys, read_lock(ROOT)["runner"], configured_registry(ROOT))
    say(f"Deploy the stack with --parameter-overrides {told}")


if __name__ == "__main__":
    run_main(main)
