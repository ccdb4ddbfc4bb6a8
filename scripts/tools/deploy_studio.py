"""Publish the studio's page at the stack's address, with settings of the stack's outputs; look if it works.

    python -m scripts.tools.deploy_studio --stack splats

Browsers get the new page at their next visit; one that is open goes on with the version that it has. Files of
versions that are older than a week are deleted.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scripts.lib.cloud.aws import Account
from scripts.lib.cloud.page import Backend, SiteFile, outdated, site
from scripts.lib.cloud.page_checks import answered, problems
from scripts.lib.cloud.provider import fetch_description, origin, provider_of
from scripts.lib.core.console import UserError, run_main, say
from scripts.lib.storage import library
from scripts.lib.storage.places import Bucket

NEEDED = ("Studio", "StudioFiles", "StudioIssuer", "StudioClient", "StudioScopes", "Api", "Bucket")
KEPT = timedelta(days=7)


def outputs_of(stack: str) -> dict[str, str]:
    """The outputs of a stack. Raises UserError when there is none, or it has no studio."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = library.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except (BotoCoreError, ClientError) as error:
        raise UserError(
            f"the stack {stack!r} cannot be read ({error}); check --stack and AWS_REGION"
        ) from None
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}
    if missing := [name for name in NEEDED if name not in outputs]:
        raise UserError(
            f"the stack {stack!r} has no output {missing[0]}; deploy it with ApiCode and Studio=true"
        )
    return outputs


def backend_of(stack: str, outputs: Mapping[str, str]) -> Backend:
    """What the page works with. Raises UserError when nobody can sign in at the issuer."""
    issuer, client, home = outputs["StudioIssuer"], outputs["StudioClient"], f"{outputs['Studio']}/"
    login = provider_of(issuer, client, outputs["StudioScopes"], home, fetch_description(issuer))
    link = Account(stack, outputs["Bucket"]).link("uploads/", "text/plain")
    return Backend(api=outputs["Api"], storage=origin(link), pages=outputs["Web"], login=login)


def put(bucket: str, files: Mapping[str, SiteFile]) -> None:
    """Put the site's files into a bucket, in their order. Raises UserError when S3 refuses."""
    there = Bucket(f"s3://{bucket}")
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "file"
        for name, file in files.items():
            path.write_bytes(file.data)
            there.put(name, path, file.headers)


def remove_old(s3: Any, bucket: str, made: dict[str, SiteFile], now: datetime) -> int:
    """Delete parts of other versions once they are a week old: pages that are open may still load some."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    found = {
        item["Key"]: item["LastModified"] for page in pages for item in page.get("Contents", [])
    }
    old = [name for name in outdated(list(found), made) if now - found[name] > KEPT]
    for name in old:
        s3.delete_object(Bucket=bucket, Key=name)
    return len(old)


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.tools.deploy_studio",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack", required=True, help="the stack's name")
    args = parser.parse_args(argv)
    outputs = outputs_of(args.stack)
    backend = backend_of(args.stack, outputs)
    files = site(backend)
    put(outputs["StudioFiles"], files)
    say(f"{len(files)} files are in {outputs['StudioFiles']}")
    remove_old(library.client("s3"), outputs["StudioFiles"], files, datetime.now(UTC))
    home = f"{outputs['Studio']}/"
    _, said = answered("GET", home, {})
    policy = str(said.get("Content-Security-Policy", "")) if said else ""
    upload = Account(args.stack, outputs["Bucket"]).link("uploads/", "text/plain")
    if found := list(problems(backend, home, policy, upload)):
        raise UserError("; and ".join(found))
    say(f"The studio is at {home}")


if __name__ == "__main__":
    run_main(main)
