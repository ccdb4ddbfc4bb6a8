"""Which photos are used for training, for validation and for the test. Needs no torch.

In code and JSON: `trained`, what the splat is fitted to. `steering`, the validation photos, used for
decisions: which Gaussians to remove, how small the files may be. `judged`, the test photos,
measured once, at the end, for eval.json, codecs.json and the report; a number that decisions were based on
would be too good. `split_scene` is the only
place that divides them; training records what it gave (`Split.record`) and every later stage reads that.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from scripts.lib.contracts.split import SplitCounts, SplitNames, SplitRecord
from scripts.lib.core.console import UserError
from scripts.lib.core.rig_names import frame_of, frames_of
from scripts.lib.scene.scene import Scene

# A camera that sees the scene from less than this far beside another one (radians of parallax at the
# scene's depth, and between the viewing directions) has as good as seen its photo.
SAME_PLACE = 0.01
SAME_DIRECTION = 0.05
STEERING_SHARE = 16  # one photo in so many steers, so that training loses hardly any
FEWEST_STEERING = 2  # fewer would let the whims of a single photo decide
APART = 3  # places in the order of names between photos that judge and steer: two gaps side by side hurt


@dataclass(frozen=True)
class Split:
    """Indices of a scene's photos, each list sorted.

    left_out: kept from training because they show what a judged photo shows. With few photos one set
    steers and judges: then both lists are the same. Both are empty when no photo is kept from training.
    """

    trained: list[int]
    steering: list[int]
    judged: list[int]
    left_out: list[int]

    @property
    def one_set(self) -> bool:
        """Whether the photos that judge have steered too, for want of photos."""
        return bool(self.judged) and self.steering == self.judged

    @property
    def capture(self) -> list[int]:
        """Photos by which the work of a training is measured, sorted: those that steer count as trained on,
        for a few photos less are no reason to work less."""
        return sorted({*self.trained, *self.steering} - {*self.judged})

    def counts(self) -> SplitCounts:
        """How many photos did what, for the stages' JSON."""
        return SplitCounts(
            trained=len(self.trained),
            steering=len(self.steering),
            judged=len(self.judged),
            left_out=len(self.left_out),
            one_set=self.one_set,
        )

    def named(self, names: Sequence[str]) -> SplitNames:
        """The names of the photos that did what, for train.json."""

        def of(indices: Sequence[int]) -> tuple[str, ...]:
            return tuple(names[index] for index in indices)

        return SplitNames(
            trained=of(self.trained),
            steering=of(self.steering),
            judged=of(self.judged),
            left_out=of(self.left_out),
        )

    def record(self, names: Sequence[str]) -> SplitRecord:
        """What travels with the splat: short, for it stands in the header of a PLY."""
        return SplitRecord(
            photos=len(names),
            names=_digest(names),
            steering=tuple(self.steering),
            judged=tuple(self.judged),
            left_out=tuple(self.left_out),
        )


def recorded(record: SplitRecord, names: Sequence[str], source: str) -> Split:
    """The split that `record` tells of, for the photos `names`.

    Raises UserError when these are other photos than those of the training; `source` is their file.
    """
    if (record.photos, record.names) != (len(names), _digest(names)):
        raise UserError(
            f"the splat was trained on other photos than those of {source} ({record.photos} there,"
            f" {len(names)} here, or other names); give the undistorted.zip of its training"
        )
    untrained = {*record.steering, *record.judged, *record.left_out}
    return Split(
        trained=[index for index in range(len(names)) if index not in untrained],
        steering=list(record.steering),
        judged=list(record.judged),
        left_out=list(record.left_out),
    )


def _digest(names: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()[:12]


def split_scene(scene: Scene, every: int, chosen: Sequence[str] = ()) -> Split:
    """Divide the photos of a scene.

    Judged are those `chosen` by name, else every `every`-th by sorted name, from the first, as papers
    do. Copies of them and neighbouring video frames, which would tell training what it is judged on,
    are left out. One in STEERING_SHARE of all photos steers, none that repeats a judged one; with too
    few photos for that, those that judge steer too. The views of one panorama, or of another frame of a
    rig, stand together: they count as one photo, and all do the same.

    Raises UserError when no photo is left to train on, or on an unknown name.
    """
    split = split_in_two(scene, every, chosen)
    steering = _steering(scene, split) if split.judged else []
    if len(steering) < FEWEST_STEERING:
        return split
    trained = [index for index in split.trained if index not in set(steering)]
    return Split(trained, steering, split.judged, split.left_out)


def split_in_two(scene: Scene, every: int, chosen: Sequence[str] = ()) -> Split:
    """The same with one set that steers and judges: how splats were trained that record no split.

    Raises UserError as `split_scene`.
    """
    judged = _whole_frames(scene.names, _judged(scene.names, every, chosen))
    others = [index for index in range(len(scene)) if index not in set(judged)]
    near = set(_whole_frames(scene.names, _repeating(scene, judged, others)))
    trained = [index for index in others if index not in near]
    if not trained:
        raise UserError(
            f"{scene.path} leaves no photo to train on; set train_splat.test_every to 0"
        )
    return Split(trained, list(judged), judged, sorted(near))


def _judged(names: Sequence[str], every: int, chosen: Sequence[str]) -> list[int]:
    """Indices of the photos to judge by; none when `every` is below 2 or there is a single photo."""
    if chosen:
        return sorted({_place(names, name) for name in chosen})
    frames = list(frames_of(names).values())
    if every < 2 or len(frames) < 2:
        return []
    return sorted(index for frame in frames[::every] for index in frame)


def _whole_frames(names: Sequence[str], chosen: Sequence[int]) -> list[int]:
    """The chosen photos and all others of their frames, sorted."""
    frames = frames_of(names)
    return sorted({index for place in chosen for index in frames[frame_of(names[place])]})


def _place(names: Sequence[str], wanted: str) -> int:
    """Where `wanted` stands, with or without its folder and ending (photos may have been converted)."""
    if wanted in names:
        return list(names).index(wanted)
    stems = [str(PurePosixPath(name).with_suffix("")) for name in names]
    bare = str(PurePosixPath(wanted).with_suffix(""))
    found = [i for i, stem in enumerate(stems) if bare in (stem, PurePosixPath(stem).name)]
    if len(found) == 1:
        return found[0]
    close = difflib.get_close_matches(wanted, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"the first is called {names[0]!r}"
    raise UserError(
        f"train_splat.test_photos names {wanted!r}, which"
        f" {'fits several photos' if found else 'is no photo of this scene'}; {hint}"
    )


def _steering(scene: Scene, split: Split) -> list[int]:
    """One in STEERING_SHARE of the scene's photos out of those to train on, spread over the capture.

    Of each stretch of the capture the photo nearest to its middle, APART from those that judge if there
    is such, that no other one repeats: what training has as good as seen says little. Where all repeat
    each other, the first by that order.
    """
    candidates = split.trained
    frames = frames_of(scene.names)
    count = min(len(frames) // STEERING_SHARE, len(candidates) - 1)
    found = []
    for part in np.array_split(candidates, count) if count > 0 else []:
        stretch = part.tolist()
        middle = len(stretch) // 2
        away = {i: min(APART, *(abs(i - judged) for judged in split.judged)) for i in stretch}
        stretch.sort(key=lambda index: (-away[index], abs(index - part[middle])))
        alone = (
            i for i in stretch if not _repeating(scene, [i], [c for c in candidates if c != i])
        )
        found.append(next(alone, stretch[0]))
    return _whole_frames(scene.names, found)


def _repeating(scene: Scene, seen: list[int], others: list[int]) -> list[int]:
    """Those of `others` that look from the place of a photo in `seen` into its direction."""
    if not seen or not others or not len(scene.points):
        return []
    centres, forward = scene.centres, scene.world_to_camera[:, 2, :3]
    # Of the points before each camera, the median depth.
    homogeneous = np.c_[scene.points, np.ones(len(scene.points))]
    found = set[int]()
    for index in seen:
        depths = homogeneous @ scene.world_to_camera[index, 2]
        depth = float(np.median(depths[depths > 0])) if (depths > 0).any() else np.inf
        apart = np.linalg.norm(centres[others] - centres[index], axis=1)
        turned = np.arccos(np.clip(forward[others] @ forward[index], -1, 1))
        same = (apart < SAME_PLACE * depth) & (turned < SAME_DIRECTION)
        found |= {others[number] for number in np.flatnonzero(same)}
    return sorted(found)
