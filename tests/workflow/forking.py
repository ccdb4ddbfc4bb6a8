"""A process that has Snakemake loaded and forks for each run: starting and loading it is most of a dry-run.

python -m tests.workflow.forking    reads a run a line, as JSON, and answers each with its exit code
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

# Seconds after which a run that does not end says where it is and gives up, so that it holds up no other:
# before the limit of a test, and ten times what the longest takes on a busy machine.
LONGEST = 500
# What Snakemake loads when it reads our Snakefile.
LATER = ("snakemake.report.html_reporter", "snakemake_storage_plugin_s3", "jsonschema", "PIL.Image")


def _become(folder: str, environment: dict[str, str], arguments: list[str], output: str) -> None:
    """This process is `snakemake *arguments` from now on, started in `folder`; it does not return."""
    from snakemake.cli import main

    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(written, 1)
    os.dup2(written, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["snakemake", *arguments]
    sys.path[0] = folder  # as `python -m` has it; the other entries are Python's own
    code = 1
    try:
        main(arguments)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    """Fork for each line of stdin, and tell the exit code of each on stdout."""
    from snakemake.cli import get_argument_parser

    get_argument_parser()  # loads the plugins, of which each has options
    for name in LATER:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(*json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


class Forking:
    """The process, as those who want runs see it."""

    def __init__(self, root: Path, output: Path) -> None:
        """Start it from the checkout at `root`; what each run says passes through `output`, a file in a
        folder of its own."""
        self.output = output
        command = [sys.executable, "-m", "tests.workflow.forking"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True)

    def run(
        self, folder: Path, environment: dict[str, str], arguments: list[str]
    ) -> subprocess.CompletedProcess[str]:
        """`snakemake *arguments` in `folder`: its exit code, with stdout and stderr together."""
        assert self.process.stdin and self.process.stdout
        told = [str(folder), environment, arguments, str(self.output)]
        print(json.dumps(told), file=self.process.stdin, flush=True)
        code = int(self.process.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, self.output.read_text())

    def close(self) -> None:
        """Let it end, and remove the file's folder."""
        self.process.communicate()
        shutil.rmtree(self.output.parent)


if __name__ == "__main__":
    serve()
