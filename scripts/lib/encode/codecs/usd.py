"""OpenUSD: one `ParticleField3DGaussianSplat` in a .usdz, which Omniverse, Isaac Sim and Arnold open.

A stage says which way is up and how long a unit is, so axes are written as they are, Z up. Schema: usdVol
of OpenUSD 26.03 and newer; written and read by Pixar's own library (`pip install usd-core`), which is not
part of the images, because it has 200 MB.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.core.activations import logit, sigmoid
from scripts.lib.core.console import UserError
from scripts.lib.encode.codecs.compare import Limits
from scripts.lib.encode.codecs.rotations import normalised
from scripts.lib.splat.gaussians import SH_COEFFICIENTS, Gaussians

MOST_BYTES = (1 << 32) - 1  # of a layer in a .usdz, whose zip has 32-bit sizes
LIMITS = Limits(mean=0.0, angle=0.05, log_scale=1e-5, alpha=2e-6, sh0=0.0, shN=0.0)
LAYER, PRIM = "scene.usdc", "/Splat"


def library() -> Any:
    """Pixar's `pxr`. Raises UserError when it is not installed, or has no Gaussians yet."""
    try:
        import pxr.Usd
        import pxr.UsdVol

        pxr.UsdVol.ParticleField3DGaussianSplat  # noqa: B018 (releases before 26.03 have none)
    except (ImportError, AttributeError):
        raise UserError(
            "USD files need Pixar's library, which is not installed or too old; run"
            " 'pip install usd-core==26.11', or leave 'usd' out of deliver"
        ) from None
    return pxr


def write(path: Path, gaussians: Gaussians) -> None:
    """Write a .usdz of Gaussians with Z up. Raises UserError without the library, or above 4 GiB."""
    pxr = library()
    from pxr import Sdf, Usd, UsdGeom, UsdVol, Vt

    coefficients = 1 + gaussians.shN.shape[1]
    if len(gaussians) * 4 * (11 + 3 * coefficients) > MOST_BYTES:
        raise UserError(
            f"{len(gaussians)} Gaussians with harmonics of degree {gaussians.sh_degree} do not fit into"
            " the 4 GiB of a .usdz; set export_usd.sh_degree lower"
        )
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        layer, package = Path(folder, LAYER), Path(folder, "scene.usdz")
        stage = Usd.Stage.CreateNew(str(layer))
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        splat = UsdVol.ParticleField3DGaussianSplat.Define(stage, PRIM)
        stage.SetDefaultPrim(splat.GetPrim())
        spread = 3 * np.exp(gaussians.scales.max(axis=1, keepdims=True))
        extent = np.stack([(gaussians.means - spread).min(0), (gaussians.means + spread).max(0)])
        # A quaternion of pxr lies in memory as x, y, z, w.
        turns = normalised(gaussians.quats)[:, [1, 2, 3, 0]].astype(np.float32)
        colours = np.concatenate([gaussians.sh0[:, None], gaussians.shN], axis=1).reshape(-1, 3)
        splat.CreatePositionsAttr(Vt.Vec3fArray.FromNumpy(gaussians.means))
        splat.CreateOrientationsAttr(Vt.QuatfArray.FromNumpy(turns))
        splat.CreateScalesAttr(Vt.Vec3fArray.FromNumpy(np.exp(gaussians.scales)))
        opacities = sigmoid(gaussians.opacities).astype(np.float32)
        splat.CreateOpacitiesAttr(Vt.FloatArray.FromNumpy(opacities))
        splat.CreateRadianceSphericalHarmonicsDegreeAttr(gaussians.sh_degree)
        splat.CreateRadianceSphericalHarmonicsCoefficientsAttr(
            Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(colours))
        )
        splat.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(extent.astype(np.float32)))
        stage.GetRootLayer().documentation = f"splatmake; written by OpenUSD {pxr.Usd.GetVersion()}"
        stage.GetRootLayer().Save()
        with Sdf.ZipFileWriter.CreateNew(str(package)) as archive:
            archive.AddFile(str(layer), LAYER)
        shutil.move(package, path)


def read(path: Path) -> Gaussians:
    """Read the Gaussians of a .usdz that `write` wrote. Raises UserError when it holds none."""
    library()
    from pxr import Tf, Usd, UsdVol

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        named = Path(folder, "scene.usdz")  # the library goes by the suffix
        shutil.copyfile(path, named)
        try:
            stage = Usd.Stage.Open(str(named))
            splat = UsdVol.ParticleField3DGaussianSplat(stage.GetDefaultPrim())
            degree = splat.GetRadianceSphericalHarmonicsDegreeAttr().Get()
            means = np.array(splat.GetPositionsAttr().Get(), np.float32)
            scales = np.array(splat.GetScalesAttr().Get(), np.float32)
            opacities = np.array(splat.GetOpacitiesAttr().Get(), np.float32)
            turns = np.array(splat.GetOrientationsAttr().Get(), np.float32)
            flat = splat.GetRadianceSphericalHarmonicsCoefficientsAttr().Get()
            colours = np.array(flat, np.float32).reshape(len(means), 1 + SH_COEFFICIENTS[degree], 3)
            return Gaussians(
                means=means,
                quats=turns[:, [3, 0, 1, 2]],
                scales=np.log(np.maximum(scales, 1e-30)),
                opacities=logit(opacities),
                sh0=colours[:, 0],
                shN=np.ascontiguousarray(colours[:, 1:]),
            )
        except (
            Tf.ErrorException,
            AttributeError,
            KeyError,
            IndexError,
            ValueError,
            TypeError,
        ) as error:
            raise UserError(
                f"{path} is not a USD file of Gaussians ({error}); export it again"
            ) from None
