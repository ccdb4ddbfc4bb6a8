"""What must be there before a run on AWS is started, each asked of AWS and answered in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from scripts.lib.cloud.aws import COORDINATOR_QUEUE, QUEUES, Account
from scripts.lib.core.console import UserError
from scripts.lib.storage.places import Bucket

SENTINEL = "KEEP"
# Quotas in vCPUs, by their codes at Service Quotas; the GPU ones are 0 in a new account.
QUOTAS = {
    "cpu-spot": ("L-34B43A08", "All Standard Spot Instance Requests"),
    "cpu-on-demand": ("L-1216C47A", "Running On-Demand Standard instances"),
    "gpu-spot": ("L-3819A6DF", "All G and VT Spot Instance Requests"),
    "gpu-on-demand": ("L-DB2E81BA", "Running On-Demand G and VT instances"),
}
LEAST_VCPUS = {"cpu-spot": 8, "cpu-on-demand": 8, "gpu-spot": 4, "gpu-on-demand": 4}
PRICE_DRIFT = 0.3
NOT_THERE = ("ImageNotFoundException", "RepositoryNotFoundException")  # as ECR says it


@dataclass(frozen=True)
class Finding:
    """What was looked at, whether it is as it must be, and a sentence."""

    what: str
    good: bool
    said: str


def credentials(account: Account) -> Finding:
    """Who AWS takes us for."""
    who = account.client("sts").get_caller_identity()
    return Finding("credentials", True, who["Arn"])


def bucket(account: Account, prefix: str) -> Finding:
    """The run's bucket answers, and holds the object that keeps it from being emptied away."""
    there = Bucket(prefix)
    names = account.client("s3").list_objects_v2(Bucket=there.bucket, Prefix=SENTINEL, MaxKeys=1)
    if not names.get("Contents"):
        said = f"s3://{there.bucket} lacks the object {SENTINEL}; deploy config/aws/stack.yaml"
        return Finding("bucket", False, said)
    done = account.client("s3").list_objects_v2(Bucket=there.bucket, Prefix=there.prefix, MaxKeys=1)
    known = "holds an earlier run, which goes on" if done.get("Contents") else "is new"
    return Finding("bucket", True, f"s3://{there.bucket} answers; {there} {known}")


def queues(account: Account) -> Finding:
    """All queues take jobs, the coordinators' too."""
    names = [f"{account.stack}-{name}" for name in (*QUEUES, COORDINATOR_QUEUE)]
    found = {
        queue["jobQueueName"]: queue
        for queue in account.client("batch").describe_job_queues(jobQueues=names)["jobQueues"]
    }
    wrong = [
        name
        for name in names
        if name not in found
        or found[name]["state"] != "ENABLED"
        or found[name]["status"] != "VALID"
    ]
    if wrong:
        said = f"{', '.join(wrong)} missing or not ready; deploy config/aws/stack.yaml"
        return Finding("queues", False, said)
    return Finding("queues", True, ", ".join(names))


def images(account: Account, registry: str, tags: Mapping[str, str]) -> Finding:
    """Every stage's image lies in the registry under the tag of its recipe; only an ECR is looked into.

    What its scan found is told, and stops nothing: many a weakness is in what no job uses.
    """
    from botocore.exceptions import ClientError

    host, _, path = registry.partition("/")
    if ".dkr.ecr." not in host:
        return Finding("images", True, f"in {registry}, which is not looked into")
    missing, weak = [], []
    for name, tag in tags.items():
        try:
            (image,) = account.client("ecr").describe_images(
                repositoryName=f"{path}/{name}", imageIds=[{"imageTag": tag}]
            )["imageDetails"]
        except ClientError as error:
            if error.response["Error"]["Code"] not in NOT_THERE:
                raise  # building and pushing helps nobody who may not look
            missing.append(f"{name}:{tag}")
            continue
        found = image.get("imageScanFindingsSummary", {}).get("findingSeverityCounts", {})
        if found.get("CRITICAL"):
            weak.append(f"{name} has {found['CRITICAL']} critical weaknesses by ECR's scan")
    if missing:
        said = f"{', '.join(missing)} not in {registry}; `python -m scripts.tools.images build` and `push`"
        return Finding("images", False, said)
    named = ", ".join(f"{name}:{tag}" for name, tag in tags.items())
    return Finding("images", True, "; ".join([named, *weak]))


def quotas(account: Account) -> list[Finding]:
    """Enough vCPUs are allowed at once for the smallest machine of each queue."""
    from botocore.exceptions import ClientError

    findings = []
    for queue, (code, name) in QUOTAS.items():
        try:
            answer = account.client("service-quotas").get_service_quota(
                ServiceCode="ec2", QuotaCode=code
            )
        except ClientError as error:
            said = f"not told ({error.response['Error']['Code']}); look for {name!r} in the console"
            findings.append(Finding(f"quota {queue}", True, said))
            continue
        vcpus, least = int(answer["Quota"]["Value"]), LEAST_VCPUS[queue]
        said = f"{vcpus} vCPUs of {name!r}"
        if vcpus < least:
            said += f", but {least} are needed; ask for more at Service Quotas"
        findings.append(Finding(f"quota {queue}", vcpus >= least, said))
    return findings


def spot_prices(account: Account, listed: Mapping[str, float]) -> Finding:
    """How the price list's spot prices compare with the current ones; never a reason to stop."""
    from botocore.exceptions import ClientError

    try:
        history = account.client("ec2").describe_spot_price_history(
            InstanceTypes=list(listed),
            ProductDescriptions=["Linux/UNIX"],
            StartTime=datetime.now(UTC) - timedelta(hours=1),
        )["SpotPriceHistory"]
    except ClientError as error:
        said = f"not told ({error.response['Error']['Code']})"
        return Finding("spot prices", True, said)
    lowest: dict[str, float] = {}
    for item in history:
        name, price = item["InstanceType"], float(item["SpotPrice"])
        lowest[name] = min(price, lowest.get(name, price))
    drifted = [
        f"{name} ${price:.3f} (the list says ${listed[name]:.2f})"
        for name, price in lowest.items()
        if name in listed and abs(price / listed[name] - 1) > PRICE_DRIFT
    ]
    said = "now " + ", ".join(drifted) if drifted else "as in the price list, as far as AWS tells"
    return Finding("spot prices", True, said)


def _answered(what: str, look: Callable[[], Any]) -> list[Finding]:
    """What a look found; what AWS or its library raised becomes a finding too."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = look()
    except (BotoCoreError, ClientError, UserError) as error:
        return [Finding(what, False, f"{error}")]
    return list(found) if isinstance(found, list) else [found]


def all_findings(
    stack: str, prefix: str, registry: str, tags: Mapping[str, str], spot: Mapping[str, float]
) -> list[Finding]:
    """Everything, in the order in which one needs the other; without credentials the rest is not asked."""
    account = Account(stack, Bucket(prefix).bucket)
    first = _answered("credentials", lambda: credentials(account))
    if not first[0].good:
        return first
    return [
        *first,
        *_answered("bucket", lambda: bucket(account, prefix)),
        *_answered("queues", lambda: queues(account)),
        *_answered("images", lambda: images(account, registry, tags)),
        *_answered("quotas", lambda: quotas(account)),
        *_answered("spot prices", lambda: spot_prices(account, spot)),
    ]
