"""An AWS account on this machine: moto's server, and a Batch that really executes its jobs.

Each job's container command runs as a process of its own, in an emptied working directory, with the job's
environment and nothing of the submitter's but the way to the server. Timeouts, termination, retries,
reclaimed machines, logs in CloudWatch and faults of S3 happen as on AWS, as far as the workflow can tell.
Images are not pulled: the process runs in this Python.
"""

from __future__ import annotations

import contextlib
import fnmatch
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import boto3
from botocore.config import Config
from moto.batch import models as batch_models
from moto.ecs.models import ecs_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

REGION = "eu-west-1"
ACCOUNT = "123456789012"
STACK = "splats"
BUCKET = "splats-bucket"
MACHINES = {"cpu": "c7i.2xlarge", "gpu": "g6.xlarge"}  # what each kind of queue runs on
QUEUES = ("cpu-spot", "cpu-on-demand", "gpu-spot", "gpu-on-demand", "coordinator")
SLOTS = 2  # machines: jobs at once
OBSERVER = "splatmake-tests"  # requests of the tests' own, not of what they test
KERNELS = "scripts/lib/core/__pycache__"
START_SECONDS = 0.7  # before a job starts at the earliest; Batch takes longer
SUBMITTERS_OWN = ("AWS_REGION", "SPLATMAKE_STACK")
GRACE_SECONDS = 10.0  # between SIGTERM and SIGKILL; Batch gives 30


@dataclass
class Execution:
    """One attempt of a job, as it really happened."""

    job_id: str
    name: str
    queue: str
    image: str
    began: float
    process: subprocess.Popen[str]
    ended: float | None = None
    exit_code: int | None = None
    reclaimed: bool = False

    @property
    def rule(self) -> str:
        """The rule's name: what stands before the first dash."""
        return self.name.split("-")[0]


@dataclass
class Faults:
    """Answers that S3 gives instead of the right ones: every `every`-th request, at most `limit`."""

    every: int = 0
    limit: int = 0
    given: int = 0

    def take(self, number: int) -> str | None:
        """The status line of the fault that request `number` meets, if any."""
        if not self.every or self.given >= self.limit or number % self.every:
            return None
        self.given += 1
        return "503 Slow Down" if self.given % 2 else "500 Internal Server Error"


@dataclass
class Cloud:
    """The account: where it listens, what ran on it, what was asked of S3."""

    folder: Path
    url: str = ""
    executions: list[Execution] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)  # of S3, by method
    photo_requests: int = 0  # of them about single photos
    checkpoint_requests: int = 0  # and about checkpoints: how many there are goes by the clock
    faults: Faults = field(default_factory=Faults)
    job_environment: dict[str, str] = field(default_factory=dict)
    slots: queue.Queue[Path] = field(default_factory=queue.Queue)
    machines: dict[str, str] = field(default_factory=dict)  # ARN at ECS, by kind

    def environment(self) -> dict[str, str]:
        """What anyone needs to reach this account."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,  # not AWS_DEFAULT_REGION: AWS gives no container that
            "SPLATMAKE_STACK": STACK,
        }

    def client(self, service: str) -> Any:
        """A boto3 client of this account."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(user_agent_extra=OBSERVER),
        )

    def keys(self, prefix: str = "") -> set[str]:
        """Names of the objects in the bucket under a prefix."""
        pages = (
            self.client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=BUCKET, Prefix=prefix)
        )
        return {item["Key"] for page in pages for item in page.get("Contents", [])}

    def definition(self, job_id: str) -> dict[str, Any]:
        """The job definition that a job was started with."""
        batch = self.client("batch")
        name = batch.describe_jobs(jobs=[job_id])["jobs"][0]["jobDefinition"]
        (found,) = batch.describe_job_definitions(jobDefinitions=[name])["jobDefinitions"]
        return dict(found)

    def active_jobs(self) -> list[str]:
        """Names of the jobs that Batch would still run."""
        backend = batch_models.batch_backends[ACCOUNT][REGION]
        return [
            job.job_name
            for job in backend._jobs.values()
            if job.status not in ("SUCCEEDED", "FAILED")
        ]

    def running(self, rule: str) -> Execution | None:
        """The execution of a rule that is going on now."""
        return next((e for e in self.executions if e.rule == rule and e.ended is None), None)

    def reclaim(self, execution: Execution) -> None:
        """Take the machine away, as AWS does with a spot instance: everything on it is gone at once."""
        execution.reclaimed = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(execution.process.pid, signal.SIGKILL)

    def wait_for(self, what: Callable[[], Any], seconds: float = 120) -> Any:
        """Wait until `what` gives something true; its value."""
        for _ in range(int(seconds / 0.05)):
            if value := what():
                return value
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come true within {seconds:.0f} s")


def hear_interrupts() -> None:
    """For a new process: what a shell starts in the background would ignore SIGINT, and so its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _middleware(cloud: Cloud, app: Any) -> Callable[..., Any]:
    """Count what is asked of S3, and now and then answer like an overloaded S3."""
    lock = threading.Lock()

    def serve(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        ours = OBSERVER in environ.get("HTTP_USER_AGENT", "")
        if ours or "/s3/aws4_request" not in environ.get("HTTP_AUTHORIZATION", ""):
            return app(environ, start)
        with lock:
            cloud.requests[environ["REQUEST_METHOD"]] += 1
            about = f"{environ['PATH_INFO']}?{unquote(environ.get('QUERY_STRING', ''))}"
            if "/photos/" in environ["PATH_INFO"]:
                cloud.photo_requests += 1
            elif "checkpoints/" in about:
                cloud.checkpoint_requests += 1
            status = cloud.faults.take(sum(cloud.requests.values()))
        if status is None:
            return app(environ, start)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"].read(length)
        code = "SlowDown" if status.startswith("503") else "InternalError"
        body = f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return serve


def _retried(job: Any, attempt: int, reason: str, why: str) -> bool:
    """Whether Batch would run another attempt, by the definition's retry strategy."""
    strategy = job.job_definition.retry_strategy or {}
    if attempt >= strategy.get("attempts", 1):
        return False
    for rule in strategy.get("evaluateOnExit", []):
        matches = fnmatch.fnmatch(why, rule.get("onStatusReason", "*"))
        if matches and fnmatch.fnmatch(reason, rule.get("onReason", "*")):
            return str(rule["action"]).upper() == "RETRY"
    return False


def _empty_but_kernels(folder: Path) -> None:
    """Empty a machine's folder but for compiled kernels: compiling them takes most of a job's time."""
    kernels, kept = folder / KERNELS, folder.parent / f"{folder.name}-kernels"
    if kernels.is_dir():
        shutil.rmtree(kept, ignore_errors=True)
        kernels.rename(kept)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if kept.is_dir():
        kernels.parent.mkdir(parents=True)
        kept.rename(kernels)


def _execute(cloud: Cloud, job: Any, attempt: int, folder: Path) -> tuple[bool, str, str]:
    """One attempt of a job: (succeeded, the container's reason, the job's status reason)."""
    _empty_but_kernels(folder)
    properties = job.job_definition.container_properties
    overrides = job.container_overrides
    home = folder.parent / f"{folder.name}-home"
    home.mkdir(exist_ok=True)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        # What is a submitter's is not a job's.
        **{k: v for k, v in cloud.environment().items() if k not in SUBMITTERS_OWN},
        **cloud.job_environment,
        **{item["name"]: item["value"] for item in properties["environment"]},
        **{item["name"]: item["value"] for item in overrides.get("environment", [])},
        "AWS_BATCH_JOB_ID": job.job_id,
        "AWS_BATCH_JOB_ATTEMPT": str(attempt),
    }
    job.log_stream_name = f"{job._stream_name}/{attempt}"
    job.job_started_at = datetime.now()
    job._start_attempt()
    process = subprocess.Popen(
        overrides.get("command") or properties["command"],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=hear_interrupts,
    )
    execution = Execution(
        job.job_id,
        job.job_name,
        job.job_queue.name.removeprefix(f"{STACK}-"),
        properties["image"],
        time.monotonic(),
        process,
    )
    cloud.executions.append(execution)
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or []), daemon=True)
    reader.start()
    duration = (job.timeout or job.job_definition.timeout or {}).get("attemptDurationSeconds", 1e9)
    asked: float | None = None
    timed_out = False
    while process.poll() is None:
        time.sleep(0.05)
        now = time.monotonic()
        timed_out = timed_out or now - execution.began > duration
        if (job.stop or timed_out) and asked is None:
            asked = now
            process.terminate()  # only a container's first process hears of it
        if asked is not None and now - asked > GRACE_SECONDS:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # a container ends with its first process
    reader.join(timeout=10)
    execution.exit_code = process.returncode
    execution.ended = time.monotonic()
    (folder.parent / "logs").mkdir(exist_ok=True)
    (folder.parent / "logs" / f"{job.job_name}-{attempt}.log").write_text("".join(lines))
    group = (
        properties.get("logConfiguration", {})
        .get("options", {})
        .get("awslogs-group", "/aws/batch/job")
    )
    job._log_group = group
    job._log_backend.ensure_log_group(group)
    job._log_backend.ensure_log_stream(group, job.log_stream_name)
    stamp = int(time.time() * 1000)
    if lines:
        events = [{"timestamp": stamp, "message": line.rstrip("\n") or " "} for line in lines]
        job._log_backend.put_log_events(group, job.log_stream_name, events)
    job.exit_code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    if execution.reclaimed:
        job.exit_code = None
        return False, "", "Host EC2 (instance i-0123456789abcdef0) terminated."
    if job.stop:
        return False, "", job.job_stopped_reason
    if timed_out:
        return False, "", "Job attempt duration exceeded timeout"
    return process.returncode == 0, "", "Essential container in task exited"


def _run(cloud: Cloud, job: Any) -> None:
    """Take a job through its states; in place of moto's own `Job.run`, which wants Docker."""
    job.status = "RUNNABLE"
    time.sleep(START_SECONDS)
    folder: Path | None = None
    while folder is None and not job.stop:
        with contextlib.suppress(queue.Empty):
            folder = cloud.slots.get(timeout=0.1)
    if folder is None:
        job._mark_stopped(success=False)
        return
    try:
        success, why = False, ""
        for attempt in range(1, 11):
            job.status = "RUNNING"
            success, reason, why = _execute(cloud, job, attempt, folder)
            job.job_stopped_at = datetime.now()
            job._stop_attempt()
            if success or job.stop or not _retried(job, attempt, reason, why):
                break
        job.job_stopped_reason = why
        job._mark_stopped(success)
    except Exception as error:  # a job of the tests' own making must not hang the submitter
        job.job_stopped_reason = f"the tests' Batch broke: {error!r}"
        job._mark_stopped(success=False)
        raise
    finally:
        cloud.slots.put(folder)


def _on_machine(cloud: Cloud, job: Any, details: dict[str, Any]) -> dict[str, Any]:
    """What Batch says of a job's container, with the machine that moto leaves out."""
    kind = job.job_queue.name.removeprefix(f"{STACK}-").split("-")[0]
    return details | {"containerInstanceArn": cloud.machines.get(kind, "")}


@contextlib.contextmanager
def running_cloud(folder: Path) -> Iterator[Cloud]:
    """An empty account with a bucket, the roles and the queues of config/aws/stack.yaml."""
    cloud = Cloud(folder)
    for number in range(SLOTS):
        slot = folder / f"machine-{number}"
        slot.mkdir(parents=True)
        cloud.slots.put(slot)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    app = _middleware(cloud, DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    cloud.url = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    run, details = batch_models.Job.run, batch_models.Job._container_details
    batch_models.Job.run = lambda job: _run(cloud, job)
    batch_models.Job._container_details = lambda job: _on_machine(cloud, job, details(job))
    thread.start()
    try:
        _reset(cloud)
        _furnish(cloud)
        yield cloud
    finally:
        for execution in cloud.executions:
            if execution.ended is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(execution.process.pid, signal.SIGKILL)
        server.shutdown()
        batch_models.Job.run, batch_models.Job._container_details = run, details


def _reset(cloud: Cloud) -> None:
    import urllib.request

    urllib.request.urlopen(
        urllib.request.Request(f"{cloud.url}/moto-api/reset", method="POST")
    ).read()


def _furnish(cloud: Cloud) -> None:
    """Bucket with its sentinel, machines at ECS, roles, and queues."""
    s3, iam, ec2, batch, ecs = map(cloud.client, ("s3", "iam", "ec2", "batch", "ecs"))
    ecs.create_cluster(clusterName="machines")
    for kind, instance_type in MACHINES.items():
        image = ec2.describe_images()["Images"][0]["ImageId"]
        (machine,) = ec2.run_instances(
            ImageId=image, InstanceType=instance_type, MinCount=1, MaxCount=1
        )["Instances"]
        registered = ecs_backends[ACCOUNT][REGION].register_container_instance(
            "machines", machine["InstanceId"]
        )
        cloud.machines[kind] = registered.container_instance_arn
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=BUCKET, Key="KEEP", Body=b"")
    role = iam.create_role(RoleName=f"{STACK}-service", AssumeRolePolicyDocument="{}")["Role"][
        "Arn"
    ]
    iam.create_instance_profile(InstanceProfileName=f"{STACK}-instance")
    subnet = ec2.describe_subnets()["Subnets"][0]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    for name in QUEUES:
        batch.create_compute_environment(
            computeEnvironmentName=f"{STACK}-{name}",
            type="MANAGED",
            state="ENABLED",
            serviceRole=role,
            computeResources={
                "type": "SPOT" if "spot" in name else "EC2",
                "minvCpus": 0,
                "maxvCpus": 64,
                "desiredvCpus": 0,
                "instanceTypes": ["g4dn.xlarge" if "gpu" in name else "c6i.2xlarge"],
                "instanceRole": f"{STACK}-instance",
                "subnets": [subnet["SubnetId"]],
                "securityGroupIds": [group],
            },
        )
        batch.create_job_queue(
            jobQueueName=f"{STACK}-{name}",
            priority=1,
            state="ENABLED",
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": f"{STACK}-{name}"}],
        )
