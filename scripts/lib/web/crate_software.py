"""What ran the steps, as entities of the RO-Crate: packages, Snakemake, containers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from scripts.lib.web.crate_graph import PROJECT, Entity
from scripts.lib.web.privacy import SCHEME, without_host

# Where packages are at home; a registry's page would name a registry.
HOMES = {
    "splatmake": PROJECT,
    "av": "https://pyav.basswood-io.com",
    "cuda": "https://developer.nvidia.com/cuda-toolkit",
    "cuda-core": "https://nvidia.github.io/cuda-python",
    "gsplat": "https://docs.gsplat.studio",
    "numba": "https://numba.pydata.org",
    "numpy": "https://numpy.org",
    "nvidia-cuda-nvrtc": "https://docs.nvidia.com/cuda/nvrtc",
    "pillow": "https://python-pillow.github.io",
    "pillow-heif": "https://github.com/bigcat88/pillow_heif",
    "pycolmap": "https://colmap.github.io",
    "scipy": "https://scipy.org",
    "snakemake": "https://snakemake.github.io",
    "torch": "https://pytorch.org",
    "@playcanvas/supersplat-viewer": "https://github.com/playcanvas/supersplat-viewer",
}
PYTHON = "https://www.python.org"
# Registries that anybody can read; another's name may tell whose it is, such as an account's number.
PUBLIC = ("ghcr.io", "docker.io", "quay.io", "public.ecr.aws")
DOCKER = "https://w3id.org/ro/terms/workflow-run#DockerImage"
NAME = re.compile(r"(?P<name>[^@:]+)(:(?P<tag>[^@]+))?(@sha256:(?P<sha256>[0-9a-f]+))?")


def package(name: str, version: str) -> Entity:
    """A package in the version that was used."""
    home = HOMES.get(name, PROJECT)
    return {
        "@id": f"{home}#{name.rpartition('/')[2]}-{version}",
        "@type": "SoftwareApplication",
        "name": name,
        "url": home,
        "softwareVersion": version,
    }


def packages(versions: Mapping[str, str], python: str | None) -> list[Entity]:
    """The packages of a step, and the Python that it ran in."""
    found = [package(name, version) for name, version in versions.items() if name != "splatmake"]
    if python:
        identifier = {"@id": f"{PYTHON}#python-{python}", "url": PYTHON}
        found.append(package("Python", python) | identifier)
    return found


def container(stage: str, image: str) -> Entity:
    """The image of a stage, such as `docker://ghcr.io/own/sfm:1`; a private registry is not told."""
    given = image.removeprefix(SCHEME)
    host = given.partition("/")[0]
    parts = NAME.fullmatch(without_host(given))
    found = {key: value for key, value in parts.groupdict().items() if value} if parts else {}
    registry = {"registry": host} if host in PUBLIC else {}
    return {
        "@id": f"#image-{stage}",
        "@type": "ContainerImage",
        "additionalType": {"@id": DOCKER},
        "name": without_host(given),
        **registry,
        **found,
    }
