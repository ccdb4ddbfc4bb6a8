"""The splat formats: what goes in comes out within each format's steps, and damage is named."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scripts.lib.core.console import UserError
from scripts.lib.encode import codecs
from scripts.lib.encode.codecs import codebook, compare, compressed_ply, rotations, sog, spz, values
from scripts.lib.encode.codecs.encoded import Encoded
from scripts.lib.splat.gaussians import (
    SH_COEFFICIENTS,
    Gaussians,
    is_antialiased,
    read_ply,
    write_ply,
)
from scripts.lib.web import node

SUFFIX = {"sog": ".sog", "spz": ".spz", "compressed_ply": ".compressed.ply"}
ENCODE: dict[str, Callable[[Gaussians], Encoded]] = {
    "sog": sog.encode,
    "spz": spz.encode,
    "compressed_ply": compressed_ply.encode,
}
formats = pytest.mark.parametrize("name", sorted(ENCODE))


def random_gaussians(
    count: int, degree: int, seed: int = 0, extent: float = 3.0, sh: float = 0.1
) -> Gaussians:
    """A cloud with the spread of values that training leaves."""
    random = np.random.default_rng(seed)

    def normal(*shape: int, size: float = 1.0) -> np.ndarray:
        return (random.normal(size=shape) * size).astype(np.float32)

    return Gaussians(
        means=normal(count, 3, size=extent),
        quats=normal(count, 4),
        scales=normal(count, 3) - 4,
        opacities=normal(count, size=3.0),
        sh0=normal(count, 3),
        shN=normal(count, SH_COEFFICIENTS[degree], 3, size=sh),
    )


def clip(name: str, gaussians: Gaussians) -> Gaussians:
    if name == "spz":
        return spz.clipped(gaussians)[0]
    return compressed_ply.clipped(gaussians)[0] if name == "compressed_ply" else gaussians


def round_trip(name: str, gaussians: Gaussians, folder: Path) -> tuple[Gaussians, dict[str, float]]:
    encoded = ENCODE[name](gaussians)
    path = folder / f"splat{SUFFIX[name]}"
    path.write_bytes(encoded.data)
    assert sorted(encoded.order) == list(range(len(gaussians)))
    decoded = codecs.decode(path)
    source = clip(name, gaussians).take(encoded.order)
    return decoded, compare.check(source, decoded, encoded.limits)


@formats
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_round_trip_stays_within_the_format(name: str, degree: int, tmp_path: Path) -> None:
    decoded, found = round_trip(name, random_gaussians(3000, degree), tmp_path)
    assert decoded.sh_degree == degree
    assert found["angle_rms"] < 0.5
    assert found["alpha_max"] < 0.51 / 255
    assert found["mean_rms"] < 2e-3
    assert found["log_scale_rms"] < 0.02
    assert found["sh0_rms"] < 0.02


@formats
@pytest.mark.parametrize("antialiased", [False, True])
def test_every_format_says_how_it_must_be_rendered(
    name: str, antialiased: bool, tmp_path: Path
) -> None:
    made = replace(random_gaussians(300, 1), antialiased=antialiased)
    assert round_trip(name, made, tmp_path)[0].antialiased is antialiased
    if name == "sog":
        assert sog.is_antialiased(tmp_path / f"splat{SUFFIX[name]}") is antialiased


@pytest.mark.parametrize(
    ("comments", "antialiased"),
    [
        ([], False),
        (["SplatRenderMode: mip"], True),
        (["SplatRenderMode: default"], False),
        (["antialiased 1"], True),
        (["antialiased 1", "SplatRenderMode: default"], False),
        (["a mip SplatRenderMode:"], False),
    ],
)
def test_render_modes_of_other_tools(comments: list[str], antialiased: bool) -> None:
    assert is_antialiased(comments) is antialiased


def test_a_ply_keeps_its_render_mode(tmp_path: Path) -> None:
    made = replace(random_gaussians(20, 0), antialiased=True)
    write_ply(tmp_path / "splat.ply", made, ("other words",))
    read = read_ply(tmp_path / "splat.ply")
    assert read.antialiased and read.take(np.arange(3)).antialiased
    assert b"comment SplatRenderMode: mip\n" in (tmp_path / "splat.ply").read_bytes()[:400]


extremes = st.sampled_from([0.0, 1e-30, 1e-6, 1.0, 20.0, 1e3, 3e5])


@formats
@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 700),
    degree=st.integers(0, 3),
    seed=st.integers(0, 2**31),
    extent=extremes,
    sh=st.sampled_from([0.0, 0.05, 1.0, 30.0]),
    scale=st.sampled_from([0.0, 1.0, 12.0]),
    opacity=st.sampled_from([0.0, 3.0, 200.0]),
    same=st.booleans(),
)
def test_any_cloud_survives(
    name: str,
    count: int,
    degree: int,
    seed: int,
    extent: float,
    sh: float,
    scale: float,
    opacity: float,
    same: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    base = random_gaussians(count, degree, seed, extent, sh)
    gaussians = Gaussians(
        means=base.means,
        quats=np.where(np.arange(count)[:, None] % 7 == 3, 0, base.quats).astype(np.float32),
        scales=base.scales * np.float32(scale),
        opacities=base.opacities * np.float32(opacity),
        sh0=base.sh0 * np.float32(sh * 10),
        shN=base.shN,
    )
    if same:
        gaussians = gaussians.take(np.zeros(count, np.int64))
    folder = tmp_path_factory.mktemp("codec")
    decoded, _ = round_trip(name, gaussians, folder)
    for array in decoded.arrays.values():
        assert array.dtype == np.float32
        assert np.isfinite(array).all()


@formats
def test_the_same_input_gives_the_same_bytes(name: str) -> None:
    gaussians = random_gaussians(2500, 3)
    assert ENCODE[name](gaussians).data == ENCODE[name](gaussians).data


def test_ply_round_trip_is_exact(tmp_path: Path) -> None:
    gaussians = random_gaussians(500, 3)
    write_ply(tmp_path / "a.ply", gaussians)
    back = codecs.decode(tmp_path / "a.ply")
    for field in gaussians.arrays:
        np.testing.assert_array_equal(getattr(gaussians, field), getattr(back, field))


@formats
def test_a_truncated_file_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"cut{SUFFIX[name]}"
    data = ENCODE[name](random_gaussians(300, 2)).data
    for length in (0, 3, 20, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(UserError, match="cut"):
            codecs.decode(path)


@formats
@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10**9), byte=st.integers(1, 255))
def test_a_changed_byte_never_makes_a_traceback(
    name: str, place: int, byte: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(small_file(name))
    data[place % len(data)] ^= byte
    path = tmp_path_factory.mktemp("flip") / f"flip{SUFFIX[name]}"
    path.write_bytes(data)
    try:
        codecs.decode(path)
    except UserError as error:
        assert "flip" in str(error)


small: dict[str, bytes] = {}


def small_file(name: str) -> bytes:
    if name not in small:
        small[name] = ENCODE[name](random_gaussians(40, 1)).data
    return small[name]


def test_a_zip_of_a_version_that_nobody_reads_is_damaged(tmp_path: Path) -> None:
    data = bytearray(small_file("sog"))
    data[data.index(b"PK\x01\x02") + 6] = 84  # what it takes to read the first member: version 8.4
    (tmp_path / "flip.sog").write_bytes(data)
    with pytest.raises(UserError, match=r"not a readable SOG \(zip file version 8\.4\)"):
        codecs.decode(tmp_path / "flip.sog")


def test_unknown_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        codecs.decode(tmp_path / "nothing.sog")
    other = tmp_path / "a.ksplat"
    other.write_bytes(b"x")
    with pytest.raises(UserError, match="not a splat format"):
        codecs.decode(other)


def test_sog_reads_a_folder_and_its_meta(tmp_path: Path) -> None:
    encoded = sog.encode(random_gaussians(300, 1))
    with zipfile.ZipFile(io.BytesIO(encoded.data)) as archive:
        archive.extractall(tmp_path / "sog")
    first = codecs.decode(tmp_path / "sog")
    second = codecs.decode(tmp_path / "sog" / "meta.json")
    np.testing.assert_array_equal(first.means, second.means)
    (tmp_path / "sog" / "quats.webp").unlink()
    with pytest.raises(UserError, match="quats"):
        codecs.decode(tmp_path / "sog")


def test_sog_does_not_follow_names_out_of_its_folder(tmp_path: Path) -> None:
    encoded = sog.encode(random_gaussians(30, 0))
    with zipfile.ZipFile(io.BytesIO(encoded.data)) as archive:
        archive.extractall(tmp_path / "sog")
    meta = json.loads((tmp_path / "sog" / "meta.json").read_text())
    meta["quats"]["files"] = ["../quats.webp"]
    (tmp_path / "sog" / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(UserError, match="points elsewhere"):
        codecs.decode(tmp_path / "sog")


def test_sog_keeps_colours_where_opacity_is_zero(tmp_path: Path) -> None:
    gaussians = random_gaussians(200, 0)
    hidden = Gaussians(**{**vars(gaussians), "opacities": np.full(200, -50, np.float32)})
    decoded, found = round_trip("sog", hidden, tmp_path)
    assert found["sh0_max"] < 0.2
    assert decoded.opacities.max() < -10


def test_sog_images_are_what_the_format_says() -> None:
    encoded = sog.encode(random_gaussians(1000, 3))
    with zipfile.ZipFile(io.BytesIO(encoded.data)) as archive:
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        meta = json.loads(archive.read("meta.json"))
        sizes = {
            name: Image.open(io.BytesIO(archive.read(name))).size
            for name in archive.namelist()
            if name.endswith(".webp")
        }
    centroids = sizes.pop("shN_centroids.webp")
    assert centroids[0] == 64 * 15
    assert set(sizes.values()) == {(32, 32)}
    assert meta["version"] == 2
    assert meta["count"] == 1000
    assert len(meta["scales"]["codebook"]) == len(meta["shN"]["codebook"]) == 256


def test_spz_chooses_its_grid_by_the_scene(tmp_path: Path) -> None:
    """A model a centimetre wide keeps its shape; a city does not overflow 24 bits."""
    base = random_gaussians(500, 0, extent=0.003)
    small_scene = Gaussians(**{**vars(base), "scales": base.scales - 4})
    assert spz.fraction_bits(small_scene) > 14
    decoded, found = round_trip("spz", small_scene, tmp_path)
    assert found["mean_max"] < 3e-5
    wide = random_gaussians(500, 0, extent=5000)
    assert spz.fraction_bits(wide) < 12
    round_trip("spz", wide, tmp_path)
    with pytest.raises(UserError, match="more than SPZ can hold"):
        spz.encode(random_gaussians(10, 0, extent=1e8))


def test_spz_version_2_turns_within_its_bytes(tmp_path: Path) -> None:
    gaussians = random_gaussians(500, 1)
    encoded = spz.encode(gaussians, version=2)
    (tmp_path / "a.spz").write_bytes(encoded.data)
    decoded = codecs.decode(tmp_path / "a.spz")
    source = clip("spz", gaussians).take(encoded.order)
    compare.check(source, decoded, encoded.limits)
    # x, y, z have 8 bits each: at most 0.5/127.5 off, evenly, so 0.45 degrees in the mean square, and w
    # follows from them the worse the smaller it is.
    unit = source.quats / np.linalg.norm(source.quats, axis=1, keepdims=True)
    upright = np.abs(unit[:, 0]) > 0.5
    turned = rotations.angles(source.quats, decoded.quats)[upright]
    assert upright.sum() > 100 and np.sqrt(np.mean(turned**2)) < 0.8


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_spz_version_4_is_version_3_in_other_streams(degree: int, tmp_path: Path) -> None:
    gaussians = random_gaussians(500, degree)
    third, fourth = (spz.encode(gaussians, version=version) for version in (3, 4))
    (tmp_path / "3.spz").write_bytes(third.data)
    (tmp_path / "4.spz").write_bytes(fourth.data)
    old, new = (codecs.decode(tmp_path / f"{version}.spz") for version in (3, 4))
    for name, kept in old.arrays.items():
        np.testing.assert_array_equal(kept, new.arrays[name])
    assert fourth.data == spz.encode(gaussians, version=4).data
    for end in (20, 40, len(fourth.data) // 2, len(fourth.data) - 1):
        (tmp_path / "cut.spz").write_bytes(fourth.data[:end])
        with pytest.raises(UserError, match=r"cut\.spz"):
            codecs.decode(tmp_path / "cut.spz")


@pytest.mark.parametrize("degree", [0, 2])
def test_splat_transform_reads_spz_version_4(
    degree: int, tmp_path: Path, splat_transform: Callable[..., str]
) -> None:
    gaussians = random_gaussians(300, degree)
    path = tmp_path / "ours.spz"
    path.write_bytes(spz.encode(gaussians, version=4).data)
    as_splat_transform_reads(splat_transform, path, tmp_path, codecs.decode(path))


def test_smallest_three_turns_back() -> None:
    quats = random_gaussians(1000, 0).quats
    back = rotations.from_smallest_three(*rotations.smallest_three(quats))
    assert rotations.angles(quats, back).max() < 1e-3


def test_morton_order_keeps_neighbours_together() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(16)] * 3), -1).reshape(-1, 3).astype(np.float32)
    shuffled = np.random.default_rng(0).permutation(grid)
    ordered = shuffled[values.morton_order(shuffled)]
    steps = np.abs(np.diff(ordered, axis=0)).sum(1)
    assert np.median(steps) <= 2
    np.testing.assert_array_equal(ordered[:8].max(0), [1, 1, 1])


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=256))
@settings(max_examples=50, deadline=None)
def test_codebook_keeps_few_values_exactly(numbers: list[float]) -> None:
    array = np.array(numbers, np.float32)
    table = codebook.build(array)
    np.testing.assert_array_equal(table[codebook.nearest(table, array)], array)


def test_codebook_is_near_the_optimum_and_reaches_the_tails() -> None:
    array = np.random.default_rng(0).normal(size=50000).astype(np.float32)
    array[0] = 30
    table = codebook.build(array)
    error = np.abs(table[codebook.nearest(table, array)] - array)
    # Panter and Dite: the best 256-entry table for a unit normal has RMS sqrt(2.72) / 256.
    assert np.sqrt(np.mean(error**2)) < 1.25 * np.sqrt(2.72) / 256
    assert error.max() < 0.5


def test_compare_names_what_is_wrong() -> None:
    gaussians = random_gaussians(50, 1)
    limits = compare.Limits(1e-3, 1.0, 0.01, 0.01, 0.01, 0.01)
    turned = Gaussians(**{**vars(gaussians), "quats": gaussians.quats[:, ::-1]})
    with pytest.raises(ValueError, match="angle"):
        compare.check(gaussians, turned, limits)
    with pytest.raises(ValueError, match="49 Gaussians"):
        compare.check(gaussians, gaussians.take(np.arange(49)), limits)


@pytest.fixture(scope="module")
def splat_transform() -> Callable[..., str]:
    """The pinned splat-transform; skips, saying why, where npm cannot install it."""
    try:
        node.node_modules()
    except UserError as error:
        pytest.skip(str(error))
    return node.splat_transform


def as_splat_transform_reads(
    convert: Callable[..., str], path: Path, folder: Path, reference: Gaussians
) -> None:
    """Convert with splat-transform and hold its PLY against `reference`, row by row."""
    back = folder / "back.ply"
    convert(["-q", "-w", path, back])
    theirs = read_ply(back)
    found = compare.errors(theirs, reference)
    reach = float(np.abs(reference.means).max())
    assert found["mean_max"] <= 1e-6 * max(reach, 1.0)
    assert found["angle_max"] < 1e-2
    assert found["log_scale_max"] < 1e-4
    assert found["alpha_max"] < 1e-5
    assert found["sh0_max"] < 1e-4
    assert found.get("shN_max", 0.0) < 1e-4


@formats
@pytest.mark.parametrize(("count", "degree"), [(1, 0), (3, 1), (300, 2), (2000, 3)])
def test_splat_transform_reads_the_same(
    name: str, count: int, degree: int, tmp_path: Path, splat_transform: Callable[..., str]
) -> None:
    decoded, _ = round_trip(name, random_gaussians(count, degree), tmp_path)
    path = tmp_path / f"splat{SUFFIX[name]}"
    as_splat_transform_reads(splat_transform, path, tmp_path, decoded)


@pytest.mark.parametrize("suffix", [".sog", ".spz", ".compressed.ply"])
def test_what_splat_transform_writes_is_read(
    suffix: str, tmp_path: Path, splat_transform: Callable[..., str]
) -> None:
    source = random_gaussians(200, 1)
    write_ply(tmp_path / "source.ply", source)
    path = tmp_path / f"theirs{suffix}"
    splat_transform(["-q", "-w", "-g", "cpu", tmp_path / "source.ply", path])
    as_splat_transform_reads(splat_transform, path, tmp_path, codecs.decode(path))


REAL = {
    "wolf.spz": (90586, 3),
    "biker.spz": (152746, 0),
    "biker.compressed.ply": (152746, 0),
    "guitar.compressed.ply": (90854, 0),
    "playbot_lod4.sogdir_shN": (8406, 2),
    "minimal/playcanvas_test_64splats_sh3.compressed.ply": (64, 3),
    "minimal/minimal-v2.spz": (4, 0),
    "minimal/minimal-v3.spz": (4, 0),
    "minimal/minimal-v4.spz": (4, 0),
    "minimal/minimal.splat": (4, 0),
}


@pytest.mark.parametrize("name", sorted(REAL))
def test_real_files_are_read(name: str, real_data: Callable[[str], Path]) -> None:
    gaussians = codecs.decode(real_data(f"splats/{name}"))
    assert (len(gaussians), gaussians.sh_degree) == REAL[name]
    for array in gaussians.arrays.values():
        assert np.isfinite(array).all()


@pytest.mark.parametrize("name", ["minimal-raw.spz", "brush_init.ply", "minimal.ksplat"])
def test_real_files_that_are_no_splats_are_refused(
    name: str, real_data: Callable[[str], Path]
) -> None:
    with pytest.raises(UserError, match=name.split(".")[0]):
        codecs.decode(real_data(f"splats/minimal/{name}"))


@formats
def test_a_real_splat_reaches_splat_transform_unchanged(
    name: str,
    tmp_path: Path,
    real_data: Callable[[str], Path],
    splat_transform: Callable[..., str],
) -> None:
    wolf = codecs.decode(real_data("splats/wolf.spz"))
    decoded, _ = round_trip(name, wolf.take(np.arange(0, len(wolf), 9)), tmp_path)
    path = tmp_path / f"splat{SUFFIX[name]}"
    as_splat_transform_reads(splat_transform, path, tmp_path, decoded)


@pytest.mark.parametrize("rounding", range(len(sog.ROUNDINGS)))
@pytest.mark.parametrize("bands", [0, 3])
def test_rounded_sogs_keep_their_limits_and_shrink(rounding: int, bands: int) -> None:
    """Fewer bits where a Gaussian can spare them: read back within the limits told, and lighter each time."""
    gaussians = random_gaussians(3000, bands)
    sizes = []
    for number in (0, rounding):
        encoded = sog.encode(gaussians, sog.SogOptions(palette=64, rounding=number))
        decoded = decoded_sog(encoded)
        found = compare.check(gaussians.take(encoded.order), decoded, encoded.limits)
        sizes.append(len(encoded.data))
    assert sizes[1] < 0.92 * sizes[0] if rounding else sizes[1] == sizes[0]
    if rounding:
        own = np.exp(np.sort(gaussians.scales.astype(float), axis=1)[:, 1]).max()
        assert found["mean_max"] <= 0.2 * own + 1e-3
        # The rounded form that is measured before any file is written is what the file gives back.
        early = sog.rounded(gaussians, rounding)
        assert np.array_equal(early.means, decoded.means)
        assert np.array_equal(early.quats, decoded.quats)
        assert np.array_equal(early.scales, decoded.scales)


def test_a_needles_thickness_takes_no_entries_from_what_is_seen() -> None:
    gaussians = random_gaussians(2000, 0)
    thin = gaussians.scales.copy()
    thin[:, 0] = -20 - 10 * np.random.default_rng(0).random(2000)
    encoded = sog.encode(dataclasses.replace(gaussians, scales=thin))
    decoded, source = decoded_sog(encoded), gaussians.take(encoded.order)
    assert np.abs(decoded.scales[:, 1:] - source.scales[:, 1:]).max() < 0.1
    assert (decoded.scales[:, 0] < np.sort(decoded.scales[:, 1:], axis=1)[:, 0] - 6).all()


def decoded_sog(encoded: Encoded) -> Gaussians:
    with zipfile.ZipFile(io.BytesIO(encoded.data)) as archive:
        return sog.from_members(Path("x.sog"), archive.read)
