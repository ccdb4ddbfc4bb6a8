"""A training without what moved, from the photos to train.json and the splat."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from scripts import train_splat
from scripts.lib.measure.metrics import psnr
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.scene import load_scene
from scripts.lib.splat.gaussians import read_ply
from tests.unit.train.walls import write_wall

OPTIONS = {"preset": "draft", "steps": 400, "max_gaussians": 3000}


def trained(folder: Path, transients: object) -> tuple[dict[str, object], float]:
    """train.json, and PSNR in dB of the wall behind visitors, seen from where their photos were taken."""
    arguments = ["--scene", folder / "wall.zip", "--ply", folder / "splat.ply"]
    arguments += ["--metrics", folder / "train.json", "--checkpoints", folder / "saved"]
    arguments += ["--options", json.dumps({**OPTIONS, "transients": transients}), "--device", "cpu"]
    train_splat.main([str(argument) for argument in arguments])
    behind = write_wall(folder / "visited.zip", True)
    write_wall(folder / "empty.zip", False)
    wall, renderer = (
        load_scene(folder / "empty.zip"),
        Renderer(read_ply(folder / "splat.ply"), "cpu"),
    )
    views = [2, 5, 7, 10]
    renders = [
        renderer.picture(wall.world_to_camera[view], wall.K[view], wall.sizes[view])
        for view in views
    ]
    photos = [photo.astype(np.float32) / 255 for photo in wall.photos(views)]
    quality = [
        psnr(np.clip(render, 0, 1)[behind[view]], photo[behind[view]])
        for view, render, photo in zip(views, renders, photos, strict=True)
    ]
    return json.loads((folder / "train.json").read_text()), float(np.mean(quality))


def test_visitors_are_not_learned(tmp_path: Path) -> None:
    """By itself, and the wall behind them is better by at least 1 dB."""
    write_wall(tmp_path / "wall.zip", True)
    with_them, before = trained(tmp_path, False)
    without, after = trained(tmp_path, "auto")
    assert "transients" not in with_them
    told = without["transients"]
    assert isinstance(told, dict)
    assert told["left_out"]
    assert 0.03 < told["share"] < 0.2
    assert after > before + 1


def test_where_nothing_moves_training_is_as_it_was(tmp_path: Path) -> None:
    """The same quality to the last digit, because nothing is left out."""
    write_wall(tmp_path / "wall.zip", False)
    told, quality = trained(tmp_path, "auto")
    assert isinstance(told["transients"], dict)
    assert not told["transients"]["left_out"]
    _, again = trained(tmp_path, False)
    assert quality == again
