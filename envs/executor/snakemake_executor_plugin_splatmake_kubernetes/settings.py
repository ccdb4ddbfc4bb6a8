"""The executor's options, and what Snakemake has to know of it before it starts."""

from dataclasses import dataclass, field, replace
from typing import Any, Optional

from snakemake_executor_plugin_kubernetes import ExecutorSettings as ReleasedSettings
from snakemake_executor_plugin_kubernetes import common_settings as released_settings


def _setting(help_text: str) -> Any:
    return field(default=None, metadata={"help": help_text})


@dataclass
class ExecutorSettings(ReleasedSettings):
    """Options on the command line and in profiles, `--splatmake-kubernetes-...`: the released ones and these.

    Snakemake makes argparse types of the annotations and knows `Optional[str]`, not `str | None`.
    """

    secret: Optional[str] = _setting("Secret whose keys are environment variables of all jobs")
    pull_secret: Optional[str] = _setting("Secret with which the nodes pull images")
    nodes: Optional[str] = _setting("Labels of the nodes for jobs: KEY=VALUE,KEY=VALUE")
    gpu_nodes: Optional[str] = _setting("Labels of the nodes for jobs with a GPU; default: nodes")
    tolerations: Optional[str] = _setting(
        "Taints that all jobs tolerate: KEY=VALUE:EFFECT or KEY:EFFECT, with commas between them"
    )


# Workers have the storage plugin in their image, in the submitter's version: nothing is installed there.
common_settings = replace(released_settings, auto_deploy_default_storage_provider=False)
