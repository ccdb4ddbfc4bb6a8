"""Slurm's own daemons as a cluster of one node, in a folder of their own and on ports of their own.

Nothing of the machine's own Slurm, if it has one, is touched: whoever uses this cluster names its
configuration in SLURM_CONF. Jobs are processes beside those of the test (proctrack/linuxproc, task/none):
neither systemd nor cgroups are needed. The one GPU is only counted: it is no device.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Debian's packages, and a program of each.
PROGRAMS = {
    "munge": "munged",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "slurm-client": "sbatch",
}
ACCOUNTING_PROGRAMS = {"slurmdbd": "slurmdbd", "mariadb-server": "mariadbd"}
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
ANSWER_SECONDS = 60
MOST_SECONDS = 900  # only end what would never end

CONTROLLER = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
KillWait=5
MinJobAge={remembered}
SchedulerParameters=sched_interval=1,batch_sched_delay=0
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=60000 Gres=gpu:1 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
ACCOUNTING = """
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports[2]}
AccountingStoragePass={folder}/munge.socket
"""
DATABASE = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={ports[2]}
SlurmUser={user}
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[3]}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""


def missing(accounting: bool) -> str:
    """What this machine lacks to be such a cluster, in words; empty where it lacks nothing."""
    if os.geteuid() != 0:
        return "slurmd runs jobs as root only"
    wanted = PROGRAMS | (ACCOUNTING_PROGRAMS if accounting else {})
    absent = [package for package, name in wanted.items() if not shutil.which(name, path=PATH)]
    return f"apt-get install {' '.join(absent)}" if absent else ""


@dataclass(frozen=True)
class Slurm:
    """A running cluster."""

    folder: Path
    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        """What one of Slurm's programs says. Raises AssertionError when it fails."""
        told = subprocess.run(
            command, env=self.environment, text=True, capture_output=True, timeout=ANSWER_SECONDS
        )
        assert told.returncode == 0, (
            f"{' '.join(command)}\n{told.stdout}{told.stderr}\n{self.logs()}"
        )
        return told.stdout

    def answers(self, *command: str) -> bool:
        """Whether one of Slurm's programs succeeds."""
        told = subprocess.run(
            command, env=self.environment, capture_output=True, timeout=ANSWER_SECONDS
        )
        return told.returncode == 0

    def wait_for(self, ready: Callable[[], Any]) -> Any:
        """Wait until `ready` gives something true; its value."""
        for _ in range(MOST_SECONDS * 5):
            if value := ready():
                return value
            time.sleep(0.2)
        raise AssertionError(f"{ready} did not come true\n{self.logs()}")

    def logs(self) -> str:
        """The last lines of each daemon."""
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in files)


@contextmanager
def slurm_cluster(*, accounting: bool, remembered: int = 300, cpus: int = 32) -> Iterator[Slurm]:
    """A cluster of one node with `cpus` and one GPU; `accounting`: with slurmdbd and its database.

    Without, `squeue` knows a job that ended for `remembered` seconds. The node offers more than the machine
    has: what is tried here are jobs, not speed. A requeued job begins again after 5 seconds, not after 120.
    """
    folder = Path(tempfile.mkdtemp(prefix="slurm"))  # short: paths of sockets end at 107 bytes
    folder.chmod(0o711)  # munge wants its socket reachable
    path = f"{_with_srun(folder)}{os.pathsep}{PATH}"
    environment = {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}
    cluster = Slurm(folder, environment)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        words = {
            "folder": folder,
            "host": socket.gethostname().partition(".")[0],
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "ports": _free_ports(4),
            "cpus": cpus,
            "remembered": remembered,
        }
        _munge(stack, cluster)
        text = CONTROLLER + (ACCOUNTING if accounting else "")
        (folder / "slurm.conf").write_text(text.format(**words))
        (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
        for name in ("state", "spool"):
            (folder / name).mkdir()
        if accounting:
            _database(stack, cluster, words["ports"][3])
            (folder / "slurmdbd.conf").write_text(DATABASE.format(**words))
            (folder / "slurmdbd.conf").chmod(0o600)
            _start(stack, cluster, "slurmdbd", "-D")
            cluster.wait_for(lambda: cluster.answers("sacctmgr", "-n", "list", "cluster"))
            cluster.ask("sacctmgr", "-i", "add", "cluster", "one")
            cluster.ask("sacctmgr", "-i", "add", "account", "splats")
            cluster.ask("sacctmgr", "-i", "add", "user", words["user"], "account=splats")
        _start(stack, cluster, "slurmctld", "-D")
        _start(stack, cluster, "slurmd", "-D")
        cluster.wait_for(lambda: "idle" in cluster.ask("sinfo", "-h", "-o", "%T"))
        yield cluster
        subprocess.run(["scancel", "--state=RUNNING"], env=environment, timeout=ANSWER_SECONDS)


def _with_srun(folder: Path) -> Path:
    """A folder with a `srun` that knows this cluster: the executor takes SLURM_CONF from it in a job."""
    programs = folder / "bin"
    programs.mkdir()
    srun = programs / "srun"
    real = shutil.which("srun", path=PATH)
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {real} "$@"\n')
    srun.chmod(0o755)
    return programs


def _munge(stack: ExitStack, cluster: Slurm) -> None:
    key = cluster.folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log"}
    options = [f"--{option}={cluster.folder}/munge.{suffix}" for option, suffix in files.items()]
    seed = f"--seed-file={cluster.folder}/munge.seed"
    _start(stack, cluster, "munged", "--foreground", "--num-threads=1", *options, seed)
    cluster.wait_for((cluster.folder / "munge.socket").exists)


def _database(stack: ExitStack, cluster: Slurm, port: int) -> None:
    """A database of its own, which only this machine reaches."""
    data, path = cluster.folder / "database", cluster.folder / "database.socket"
    user = "--user=root" if os.geteuid() == 0 else ""
    options = [f"--datadir={data}", f"--socket={path}", f"--pid-file={cluster.folder}/mariadbd.pid"]
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", user, f"--datadir={data}", "--skip-test-db"],
        check=True,
        env=cluster.environment,
        capture_output=True,
    )
    listens = ["--bind-address=127.0.0.1", f"--port={port}"]
    _start(stack, cluster, "mariadbd", "--no-defaults", user, *options, *listens)
    cluster.wait_for(lambda: cluster.answers("mariadb-admin", f"--socket={path}", "ping"))
    grants = (
        "CREATE USER slurm@localhost IDENTIFIED BY 'slurm'; GRANT ALL ON slurm.* TO slurm@localhost"
    )
    cluster.ask("mariadb", f"--socket={path}", "-e", grants)


def _start(stack: ExitStack, cluster: Slurm, program: str, *options: str) -> None:
    """Start a daemon in the foreground; it ends with the stack."""
    with (cluster.folder / f"{program}.log").open("w") as said:
        process = subprocess.Popen(
            [program, *filter(None, options)],
            env=cluster.environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    stack.callback(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports(number: int) -> list[int]:
    """Ports that nothing listens on."""
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]
