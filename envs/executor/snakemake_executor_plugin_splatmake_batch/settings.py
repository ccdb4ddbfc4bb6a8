"""The executor's options, and what Snakemake has to know of it before it starts."""

from dataclasses import dataclass, field, replace
from typing import Any, Optional

from snakemake_executor_plugin_aws_batch import common_settings as released_settings
from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

LOG_GROUP = "/aws/batch/job"


def _setting(help_text: str, default: Any = None, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help_text, **metadata})


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Options on the command line and in profiles, `--splatmake-batch-...`.

    Snakemake makes argparse types of the annotations and knows `Optional[str]`, not `str | None`.
    """

    region: Optional[str] = _setting("AWS region")
    job_queue: Optional[str] = _setting("Queue of jobs without a GPU, spot", required=True)
    gpu_queue: Optional[str] = _setting("Queue of jobs with a GPU, spot; default: job_queue")
    on_demand_queue: Optional[str] = _setting("Queue for CPU jobs interrupted twice on spot")
    gpu_on_demand_queue: Optional[str] = _setting("Queue for GPU jobs interrupted twice on spot")
    job_role: Optional[str] = _setting(
        "Role of jobs: its ARN, or its name in this account", required=True
    )
    tags: Optional[str] = _setting("Tags of all jobs: KEY=VALUE,KEY=VALUE")
    task_timeout: Optional[int] = _setting("Seconds after which Batch ends a job", 3600)
    log_group: Optional[str] = _setting("CloudWatch log group of the jobs", LOG_GROUP)
    waiting_seconds: Optional[int] = _setting(
        "Seconds after which a job that waits where nothing runs goes to the other queue, or fails",
        2700,
    )
    poll_seconds: Optional[int] = _setting("Seconds between two looks at the jobs", 10)


# Workers have the storage plugin in their image, in the submitter's version: nothing is installed there.
common_settings = replace(released_settings, auto_deploy_default_storage_provider=False)
