"""glTF as others read it: Khronos's validator, and three.js's own loader of Gaussians, in Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.lib.encode.codecs import glb, spz_glb
from scripts.lib.splat.occupancy import axes_of
from scripts.lib.splat.rotation import Y_UP, rotated
from scripts.lib.web import node
from tests.web import browser
from tests.web.conftest import READERS


def opened(readers: Path, file: Path, *more: str) -> dict[str, Any]:
    command = [node.find_program("node"), READERS / "open.mjs", readers, file, *more]
    run = subprocess.run(
        command, env=node.environment(), capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("codec", [glb, spz_glb], ids=["glb", "tile"])
def test_the_validator_knows_all_but_the_names_of_the_extension(
    readers: Path, codec: Any, tmp_path: Path
) -> None:
    """This release is older than the extension, whose specification asks for these names."""
    file = tmp_path / "a.glb"
    file.write_bytes(codec.encode(rotated(browser.courtyard(), Y_UP)).data)
    found = opened(readers, file)
    assert found["warnings"] == []
    for error in found["errors"]:
        assert error["code"] == "MESH_PRIMITIVE_INVALID_ATTRIBUTE"
        assert "/attributes/KHR_gaussian_splatting:" in error["pointer"]


def test_three_js_reads_the_same_gaussians(readers: Path, tmp_path: Path) -> None:
    some = rotated(browser.courtyard(), Y_UP)
    encoded = glb.encode(some)
    file = tmp_path / "a.glb"
    file.write_bytes(encoded.data)
    (splats,) = opened(readers, file, "three")["three"]
    first = some.take(encoded.order[:10])
    assert splats["position"]["count"] == len(some)
    np.testing.assert_allclose(splats["position"]["values"][:30], first.means.ravel(), atol=1e-6)
    # Of linear scales and turned axes: XX, XY, XZ, YY, YZ, ZZ.
    axes = axes_of(first.quats)
    whole = np.einsum("nij,nj,nkj->nik", axes, np.exp(2.0 * first.scales), axes)
    upper = whole[:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    found = np.reshape(splats["covariance"]["values"], (10, 6))
    np.testing.assert_allclose(found, upper, atol=1e-6)
    assert "sphericalHarmonics1" in splats and "sphericalHarmonics2" not in splats
