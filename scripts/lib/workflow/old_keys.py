"""Keys of earlier versions of the configuration, each refused with the one that holds now."""

from __future__ import annotations

from typing import Any

# Once a key of single rules, now one for all, at the top of the configuration and in the sheet.
FOR_ALL_RULES = ("seed", "device", "preset")
RENAMED = {
    "train_splat.cap": "train_splat.max_gaussians",
    "train_splat.photos_per_step": "train_splat.batch_size",
    "train_splat.holdout": "train_splat.test_every",
    "train_splat.held_out": "train_splat.test_photos",
    "map_scene.global_from": "map_scene.global_mapper_min_photos",
    "map_scene.ladder": "map_scene.retries",
    "import_photos.video_frames": "import_photos.video_max_frames",
    "import_photos.video_least": "import_photos.video_min_frames",
    "compress_splat.stream_from": "compress_splat.stream_min_gaussians",
}
JUDGES = "the test photos are those of train_splat.test_every or train_splat.test_photos"
SIZE = "photos are compared at the size that train_splat.resolution chose"
BITS = "more bits are used where the default loses too much, see compress_splat.desktop_loss_db"
REMOVED = {
    "evaluate_splat.holdout": JUDGES,
    "check_codecs.holdout": JUDGES,
    "evaluate_splat.resolution": SIZE,
    "check_codecs.resolution": SIZE,
    "extract_features.max_orientations": "a second descriptor is used when too few photos were registered",
    "train_splat.early_stop": "learning rates fall at the end, and a run that stops before is worse",
    "train_splat.repeats": "start one run for each seed",
    "compress_splat.sh_iterations": "more passes gained too little for their time",
    "compress_splat.webp_effort": "another effort saved too little for its time",
    "compress_splat.spz_sh1_bits": BITS,
    "compress_splat.spz_sh_rest_bits": BITS,
    "compress_splat.rate_points": "the curve shows every file that was tried",
    "train_image": "the image follows from the device, train-cpu where it is cpu",
}


def advice(key: str, value: Any = None) -> str | None:
    """What to tell of an old key, `rule.option` or one at the top; None for a key that is no old one."""
    rule, dot, name = key.partition(".")
    if key in RENAMED:
        return f"{key!r} is now {RENAMED[key]!r}; use that instead"
    if key in REMOVED:
        return f"{key!r} is no longer an option; remove it: {REMOVED[key]}"
    if dot and name in FOR_ALL_RULES:
        written = f"'{name}: {value}'" if value is not None else f"{name!r}"
        return (
            f"{key!r} is now one key for all rules; put {written} at the top of the configuration,"
            f" or give the sheet a column {name}"
        )
    return None
