"""The libraries for AWS: an extra set, which most machines do without."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from scripts.lib.core.console import UserError

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


def check_plugin(source: str) -> None:
    """Raises UserError unless Snakemake can fetch a source from S3."""
    if importlib.util.find_spec(PLUGIN) is None:
        raise UserError(MISSING.format(source))
