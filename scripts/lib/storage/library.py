"""The libraries for AWS: an extra set, which most machines do without."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping
from typing import Any

from scripts.lib.core.console import UserError

ATTEMPTS = 10  # with growing waits between, together about a minute and a half
PLUGIN = "snakemake_storage_plugin_s3"
MISSING = (
    "{} needs packages that are not installed; run `pip install -r envs/cloud.txt`, then this again"
)


def boto3(module: str = "boto3") -> Any:
    """The AWS library, or a module of it. Raises UserError when it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise UserError(MISSING.format("Work with AWS")) from None


def region(environment: Mapping[str, str] = os.environ) -> str:
    """The region to work in: AWS_REGION, which the profile, Lambda and containers have, else boto3's own.

    boto3 itself reads AWS_DEFAULT_REGION and the file of `aws configure`, but not AWS_REGION. Raises
    UserError where nothing says one.
    """
    found = environment.get("AWS_REGION") or boto3("boto3.session").Session().region_name
    if not found:
        raise UserError("no AWS region is set; set AWS_REGION, such as eu-central-1")
    return str(found)


def client(service: str, attempts: int = ATTEMPTS) -> Any:
    """A boto3 client, the only way to one: in `region`, asking again where AWS throttles.

    S3 signs as buckets made since 2020 demand, and by the address of the bucket's own region: a browser
    does not follow the redirect that a new bucket answers with at the global one. Raises UserError where
    boto3 is not installed or no region is set.
    """
    retries = {"mode": "standard", "total_max_attempts": attempts}
    s3 = {"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
    signed = {"signature_version": "s3v4", "s3": s3} if service == "s3" else {}
    config = boto3("botocore.config").Config(**{"retries": retries, **signed})
    return boto3().client(service, region_name=region(), config=config)


def check_plugin(source: str) -> None:
    """Raises UserError unless Snakemake can fetch a source from S3."""
    if importlib.util.find_spec(PLUGIN) is None:
        raise UserError(MISSING.format(source))
