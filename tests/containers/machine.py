"""What it takes to build and run the images on a Debian machine without an engine and without a registry.

buildah builds without a daemon; a stand-in made of Debian's packages takes the place of the base that the
recipes name by its digest; Apptainer comes from Debian sid, unpacked into a folder with the C library that it
wants, so that nothing of the machine changes but a few packages of its own release.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.workflow.container_images import Image, current
from scripts.lib.workflow.recipes import base_images

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = "localhost/splatmake"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PACKAGES = ("buildah", "mmdebstrap", "patchelf")
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What the official base has beside Python itself: its headers, and certificates.
BASE_PACKAGES = "python3,python3-venv,python3-dev,ca-certificates"
SID_PACKAGES = ("apptainer", "libc6", "libgcc-s1", "libseccomp2", "libsqlite3-0")


class UnavailableError(Exception):
    """The tools cannot be had on this machine; the message says which and why."""


@dataclass
class Machine:
    """A folder with the tools and the images made with them, kept between runs."""

    folder: Path

    def run(self, *command: str | Path, timeout: float = 3600, **environment: str) -> str:
        """Run a command and return what it printed. Raises AssertionError with its last lines on failure."""
        result = subprocess.run(
            [str(word) for word in command],
            cwd=ROOT,
            env={**self.environment(), **environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )
        assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout[-6000:]}"
        return result.stdout

    def environment(self) -> dict[str, str]:
        """This process's environment, with Apptainer first on PATH and buildah set up to run unprivileged."""
        folders = [self.folder / "apptainer" / "usr" / "bin", Path(sys.executable).parent]
        return {
            **os.environ,
            "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]]),
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "APPTAINER_CACHEDIR": str(self.folder / "cache"),
            "APPTAINER_TMPDIR": str(self.folder),
            "TMPDIR": str(self.folder),
        }

    def prepare(self) -> None:
        """Install buildah and what makes the base, and unpack Apptainer. Raises UnavailableError."""
        if os.name != "posix" or not shutil.which("apt-get") or os.geteuid() != 0:
            raise UnavailableError("images are built here as root on Debian, from its packages")
        self.folder.mkdir(parents=True, exist_ok=True)
        storage = self.folder / "storage"
        (self.folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{storage}"\nrunroot = "{storage}/run"\n'
        )
        try:
            if not all(map(shutil.which, PACKAGES)):
                self.run("apt-get", "update", "-qq")
                options = ("-y", "-qq", "--no-install-recommends")
                self.run(
                    "apt-get", "install", *options, *PACKAGES, DEBIAN_FRONTEND="noninteractive"
                )
            if not shutil.which("apptainer") and not (self.folder / "apptainer" / "ready").exists():
                self._unpack_apptainer()
        except AssertionError as error:
            raise UnavailableError(f"Debian's packages cannot be had: {error}") from None

    def _unpack_apptainer(self) -> None:
        place = self.folder / "apptainer"
        state = self.folder / "sid"
        for path in (place, state):
            shutil.rmtree(path, ignore_errors=True)
        (state / "lists" / "partial").mkdir(parents=True)
        sources = state / "sources.list"
        sources.write_text(f"deb [signed-by={KEYRING}] {MIRROR} sid main\n")
        apt = [
            "apt-get", "-qq", "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-",
            "-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Cache={state}",
            "-o", "APT::Sandbox::User=root",
        ]  # fmt: skip
        self.run(*apt, "update")
        self.run("env", "-C", str(state), *apt, "download", *SID_PACKAGES)
        for package in state.glob("*.deb"):
            self.run("dpkg-deb", "-x", package, place)
        # Its programs use sid's C library, which stays here, and look for etc and var beside themselves.
        libraries = place / "usr" / "lib" / "x86_64-linux-gnu"
        loader = str(libraries / "ld-linux-x86-64.so.2")
        for program in (
            place / "usr" / "bin" / "apptainer",
            libraries / "apptainer" / "bin" / "starter",
        ):
            self.run("patchelf", "--set-interpreter", loader, program)
            self.run("patchelf", "--force-rpath", "--set-rpath", str(libraries), program)
        for link in (place / "usr", place / "usr" / "lib"):
            for name in ("etc", "var"):
                (link / name).symlink_to(place / name)
        (place / "var" / "lib" / "apptainer" / "mnt" / "session").mkdir(parents=True, exist_ok=True)
        configuration = place / "etc" / "apptainer" / "apptainer.conf"
        text = configuration.read_text()
        # A machine that is itself confined cannot hand on every capability of its root.
        configuration.write_text(
            text.replace("root default capabilities = full", "root default capabilities = no")
        )
        self.run("apptainer", "--version")
        (place / "ready").touch()

    def make_base(self, base: str) -> str:
        """The name of a stand-in for the official Python image `base`: Debian's own of the same release."""
        name = base.partition("@")[0]  # what is made here has another digest
        if self.has(name):
            return name
        root = self.folder / "base"
        shutil.rmtree(root, ignore_errors=True)
        suite = name.rpartition("-")[2]
        self.run(
            "mmdebstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", suite, root, MIRROR
        )
        (root / "usr" / "local" / "bin" / "python").symlink_to("/usr/bin/python3")
        container = self.run("buildah", "from", "scratch").strip()
        self.run("buildah", "add", "-q", container, root, "/")
        self.run("buildah", "config", "--cmd", "python", container)
        self.run("buildah", "commit", "-q", "--rm", container, name)
        shutil.rmtree(root)
        return name

    def has(self, name: str) -> bool:
        """Whether buildah holds an image of that name."""
        command = ["buildah", "images", "-q", name]
        result = subprocess.run(command, env=self.environment(), capture_output=True, text=True)
        return result.returncode == 0 and bool(result.stdout.strip())

    def build(self, name: str, extra: Sequence[str] = ()) -> Image:
        """Build an image with `python -m scripts.tools.images build` unless its tag is there."""
        image = current(ROOT)[name]
        bases = base_images(ROOT / "containers" / name / "Dockerfile")
        stand_ins = [
            f"--build-context={base}=container-image://{self.make_base(base)}" for base in bases
        ]
        tagged = image.tagged(REGISTRY)
        if not self.has(tagged):
            began = time.monotonic()
            program = (sys.executable, "-m", "scripts.tools.images", "build", name)
            place = ("--engine", "buildah", "--registry", REGISTRY)
            self.run(*program, *place, "--", *self._mounts(), *stand_ins, *extra)
            print(f"\n{name}: built in {time.monotonic() - began:.0f} s", flush=True)
        return image

    def _mounts(self) -> list[str]:
        """Options that let a build reach the registries as this machine does: certificates and wheels."""
        pip, npm = self.folder / "pip.conf", self.folder / "npmrc"
        settings, options = "[global]\n", ["--network", "host"]
        if CERTIFICATES.exists():
            settings += f"cert = {CERTIFICATES}\n"
            npm.write_text(f"cafile={CERTIFICATES}\n")
            options += ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"]
            options += ["--volume", f"{npm}:/root/.npmrc:ro"]
        wheels = os.environ.get("PIP_FIND_LINKS", "")
        if Path(wheels).is_dir() and wheels:
            settings += f"find-links = {wheels}\n"
            options += ["--volume", f"{wheels}:{wheels}:ro"]
        pip.write_text(settings)
        return [*options, "--volume", f"{pip}:/etc/pip.conf:ro"]

    def described(self, image: Image) -> dict:
        """The image's configuration as the OCI defines it: User, Env, Labels, WorkingDir."""
        command = ("buildah", "inspect", "--type", "image", image.tagged(REGISTRY))
        config: dict = json.loads(self.run(*command))["OCIv1"]["config"]
        return config

    def sandbox(self, image: Image) -> Path:
        """The image unpacked for Apptainer, as `apptainer pull` would leave it behind one file."""
        folder = self.folder / "sandboxes" / f"{image.name}-{image.tag}"
        if not folder.exists():
            archive = self.folder / f"{image.name}.tar"
            archive.unlink(missing_ok=True)
            self.run("buildah", "push", "-q", image.tagged(REGISTRY), f"docker-archive:{archive}")
            print(f"{image.name}: {archive.stat().st_size / 1e6:.0f} MB", flush=True)
            unfinished = folder.with_suffix(".part")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.parent.mkdir(exist_ok=True)
            self.run(
                "apptainer", "-q", "build", "--sandbox", unfinished, f"docker-archive:{archive}"
            )
            unfinished.rename(folder)
            archive.unlink()
        return folder

    def execute_as_its_user(self, image: Image, command: str) -> str:
        """Run a bash command line as `docker run` would: the image's own user and working directory."""
        container = self.run("buildah", "from", "--pull-never", image.tagged(REGISTRY)).strip()
        try:
            return self.run("buildah", "run", container, "--", "bash", "-c", command)
        finally:
            self.run("buildah", "rm", container)

    def execute(self, sandbox: Path, command: str, *options: str) -> str:
        """Run a bash command line inside an image; returns what it printed."""
        words = ("apptainer", "-q", "exec", "--cleanenv", "--no-home", *options, sandbox)
        return self.run(*words, "bash", "-c", command)
