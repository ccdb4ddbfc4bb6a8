"""What is a capture and what only lies beside one: companions of all kinds, and 360 degree pictures."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scripts.lib.photos import panorama
from scripts.lib.photos.companions import companions
from scripts.lib.photos.film_facts import film_facts
from scripts.lib.photos.options import Cause
from scripts.lib.photos.record import count_left_out, left_out, left_out_text
from scripts.lib.photos.room import Room
from scripts.lib.photos.sorting import sort_files
from scripts.lib.photos.source import SourceFile
from tests.unit.photo_files import encoded, exif, imported, jpeg, picture, refusal, write_photos
from tests.unit.video_files import write_video


def listed(*names: str) -> list[SourceFile]:
    """Files of these names; the later one the smaller."""
    return [SourceFile(n, 10_000 // (i + 1), lambda: b"") for i, n in enumerate(names)]


@pytest.mark.parametrize(
    ("name", "beside", "cause"),
    [
        ("IMG_E0001.HEIC", "IMG_0001.HEIC", Cause.EDIT),
        ("IMG_0001 (edited).jpg", "IMG_0001.jpg", Cause.EDIT),
        ("DSC_1-Enhanced-NR.tif", "DSC_1.jpg", Cause.EDIT),
        ("walk_mask.mp4", "walk.mp4", Cause.MASK),
        ("walk_depth.mkv", "walk.mp4", Cause.DEPTH),
        ("a/IMG_0001-edited.jpg", "a/IMG_0001.jpg", Cause.EDIT),
        ("DSC_1-Edit.tif", "DSC_1.jpg", Cause.EDIT),
        ("PXL_1.PORTRAIT-01.COVER.jpg", "PXL_1.PORTRAIT-02.ORIGINAL.jpg", Cause.EDIT),
        ("PXL_1.MP", "PXL_1.MP.jpg", Cause.LIVE),
        ("@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg", "a.jpg", Cause.PREVIEW),
        (".thumbnails/1.jpg", "a.jpg", Cause.PREVIEW),
        ("thumbs/a.jpg", "a.jpg", Cause.PREVIEW),
        ("a_thumb.jpg", "a.jpg", Cause.PREVIEW),
        ("Cat Previews.lrdata/1/2.jpg", "a.jpg", Cause.PREVIEW),
        ("My.photoslibrary/resources/derivatives/a.jpeg", "a.jpg", Cause.PREVIEW),
        ("PRIVATE/M4ROOT/SUB/C0001S03.MP4", "PRIVATE/M4ROOT/CLIP/C0001.MP4", Cause.PREVIEW),
        ("GL010001.LRV", "GX010001.MP4", Cause.PREVIEW),
        ("GX010001.THM", "GX010001.MP4", Cause.PREVIEW),
        ("DJI_0001.LRF", "DJI_0001.MP4", Cause.PREVIEW),
        ("$RECYCLE.BIN/S-1/$R1.jpg", "a.jpg", Cause.DELETED),
        (".Trash-1000/files/b.jpg", "a.jpg", Cause.DELETED),
        (".trashed-1700000000-b.jpg", "a.jpg", Cause.DELETED),
        ("@Recycle/b.jpg", "a.jpg", Cause.DELETED),
        ("#recycle/b.jpg", "a.jpg", Cause.DELETED),
        ("__MACOSX/._a.jpg", "a.jpg", Cause.HIDDEN),
        ("._a.jpg", "a.jpg", Cause.HIDDEN),
        ("IMG_0001.AAE", "IMG_0001.HEIC", Cause.SIDE),
        ("IMG_0001.jpg.json", "IMG_0001.jpg", Cause.SIDE),
        ("DJI_0001.SRT", "DJI_0001.MP4", Cause.SIDE),
        ("DJI_0001.DNG", "DJI_0001.JPG", Cause.RAW),
    ],
)
def test_companions_by_name(name: str, beside: str, cause: Cause) -> None:
    found = companions(listed(beside, name))
    assert {n: told.cause for n, told in found.items()} == {name: cause}


@pytest.mark.parametrize(
    "names",
    [
        ["IMG_E0001.HEIC"],  # the original is not there
        ["DSC_1-Edit.tif", "DSC_1.dng.txt"],
        ["thumbs/a.jpg", "b.jpg"],
        ["previews/a.jpg", "previews/b/a.jpg"],
        ["thumbs/a.jpg", "x/a.jpg"],  # the other one is smaller
        ["depth/a.jpg", "surface/a.jpg"],
        ["100MEDIA/a.jpg", "101MEDIA/a.jpg"],
        ["Trash heap/a.jpg"],
    ],
)
def test_captures_whose_names_could_mislead(names: list[str]) -> None:
    found = companions(listed(*names))
    assert not {n for n in names if n in found and not n.endswith(".txt")}


# Live Photos


def film(path: Path, seconds: float = 1.5, width: int = 160) -> Path:
    frames = [picture(9).resize((width, width * 3 // 4))] * int(10 * seconds)
    return write_video(path, frames)


@pytest.mark.parametrize(
    ("still", "moving"),
    [
        ("IMG_0.JPG", "IMG_0.MOV"),
        ("IMG_0.heic", "img_0.mov"),
        ("IMG_0.HEIC", "IMG_0_HEVC.MOV"),
        ("IMG_0.HEIC", "IMG_0.HEIC.MOV"),
        ("IMG_0001.HEIC", "IMG_E0001.MOV"),
        ("PXL_0.jpg", "PXL_0.mp4"),
    ],
)
def test_the_film_of_a_live_photo_is_no_capture(tmp_path: Path, still: str, moving: str) -> None:
    folder = write_photos(tmp_path / "in", 2)
    kind = "HEIF" if still.lower().endswith("heic") else "JPEG"
    (folder / still).write_bytes(encoded(picture(5), kind))
    film(folder / moving)
    run = imported(folder, tmp_path)
    assert run.kept == sorted(["a0.jpg", "a1.jpg", still])
    assert f"the moving part of {still}" in run.reason(moving)
    assert run.report["left_out"] == {"films of Live Photos": 1}


def test_a_film_with_its_poster_is_a_capture(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in", 2)
    (folder / "walk.jpg").write_bytes(encoded(picture(5).resize((160, 120))))
    film(folder / "walk.mp4", width=320)  # as large as its poster or larger
    film(folder / "a0.mp4", seconds=8)  # too long for a Live Photo
    frames = {e["original"].split(" ")[0] for e in imported(folder, tmp_path).report["photos"]}
    assert {"walk.mp4", "a0.mp4"} <= frames


def test_many_small_stills_with_films_are_live_photos(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in", 3)
    for number in range(3):
        film(folder / f"a{number}.mov", width=480)
    assert imported(folder, tmp_path).report["left_out"] == {"films of Live Photos": 3}


def test_live_photos_in_a_zip(tmp_path: Path) -> None:
    moving = film(tmp_path / "m.mov").read_bytes()
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for number in range(3):
            archive.writestr(f"IMG_{number}.JPG", jpeg(number))
            archive.writestr(f"IMG_{number}.MOV", moving)
            archive.writestr(f"__MACOSX/._IMG_{number}.JPG", b"resource fork")
    run = imported(tmp_path / "in.zip", tmp_path)
    assert len(run.kept) == 3
    assert run.report["left_out"] == {"films of Live Photos": 3, "hidden files": 3}


# Depth


@pytest.mark.parametrize(
    "name", ["depth/a0.png", "a0_depth.png", "a0.depth.png", "normals/a0.png", "depth/17.4.png"]
)
def test_depth_maps_are_no_captures(tmp_path: Path, name: str) -> None:
    folder = write_photos(tmp_path / "in", 3)
    (folder / name).parent.mkdir(exist_ok=True)
    grey = np.asarray(picture(9).convert("L")).astype(np.uint16) * 20
    (folder / name).write_bytes(encoded(Image.fromarray(grey), "PNG"))
    run = imported(folder, tmp_path)
    assert len(run.kept) == 3 and run.report["left_out"] == {"depth maps": 1}


def test_photos_in_a_folder_called_depth_are_photos(tmp_path: Path) -> None:
    run = imported(write_photos(tmp_path / "in" / "depth", 3).parent, tmp_path)
    assert len(run.kept) == 3
    write_photos(tmp_path / "in" / "surface", 3, start=5)
    assert len(imported(tmp_path / "in", tmp_path / "2").kept) == 6


# 360 degrees

SPHERE = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" %b</rdf:RDF></x:xmpmeta>'
)
ATTRIBUTE = b'GPano:ProjectionType="%b"/>'
ELEMENT = b"><GPano:ProjectionType>%b</GPano:ProjectionType></rdf:Description>"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (jpeg(9, xmp=SPHERE % (ATTRIBUTE % b"equirectangular")), "360 degree picture"),
        (jpeg(9, xmp=SPHERE % (ELEMENT % b"equirectangular")), "360 degree picture"),
        (jpeg(9, xmp=SPHERE % (ATTRIBUTE % b"cylindrical")), "panorama stitched"),
        (
            encoded(picture(9, 480, 240), exif=exif(make="RICOH", model="RICOH THETA Z1")),
            "360 degree picture",
        ),
    ],
)
def test_360_degree_pictures_are_left_out(tmp_path: Path, data: bytes, words: str) -> None:
    folder = write_photos(tmp_path / "in", 3)
    (folder / "s.jpg").write_bytes(data)
    run = imported(folder, tmp_path, panoramas="leave out")
    assert words in run.reason("s.jpg") and len(run.kept) == 3
    assert run.report["left_out"] == {"360 degree pictures": 1}


@pytest.mark.parametrize(
    "data",
    [
        jpeg(9, xmp=SPHERE % (ATTRIBUTE % b"rectilinear")),
        jpeg(9, exif=exif(make="GoPro", model="GoPro Max")),  # its flat photos are 4:3
        encoded(picture(9, 480, 240)),
    ],
)
def test_flat_pictures_are_kept(tmp_path: Path, data: bytes) -> None:
    folder = write_photos(tmp_path / "in", 3)
    (folder / "f.jpg").write_bytes(data)
    assert len(imported(folder, tmp_path).kept) == 4


def apple_panorama() -> bytes:
    told = exif(make="Apple", model="iPhone 13")
    told.get_ifd(0x8769)[panorama.CUSTOM_RENDERED] = panorama.PANORAMA
    return encoded(picture(9, 640, 240), exif=told)


def test_an_iphone_panorama_is_left_out(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in", 3)
    (folder / "p.jpg").write_bytes(apple_panorama())
    assert "panorama" in imported(folder, tmp_path).reason("p.jpg")


def sphere(width: int = 512) -> Image.Image:
    """What a whole sphere looks like without a word in its metadata: a function of the direction."""
    v, u = np.mgrid[0.5 : width // 2, 0.5:width] * np.pi / (width // 2)
    x, y, z = np.sin(v) * np.cos(u), np.sin(v) * np.sin(u), np.cos(v)
    waves = [
        np.sin(7 * x + 3 * y) + np.sin(11 * y),
        np.sin(9 * z + 5 * x),
        np.sin(13 * x * y + 4 * z),
    ]
    return Image.fromarray(
        np.stack([128 + 60 * wave for wave in waves], -1).clip(0, 255).astype(np.uint8)
    )


def two_fisheyes(width: int = 512) -> Image.Image:
    side = width // 2
    v, u = np.mgrid[0.5:side, 0.5:side] / side * 2 - 1
    disc = (np.hypot(u, v) < 0.98)[..., None]
    halves = [np.asarray(picture(n, side, side)) * disc for n in (1, 2)]
    return Image.fromarray(np.concatenate(halves, axis=1).astype(np.uint8))


def test_pixels_tell_a_sphere_and_two_circles() -> None:
    assert panorama.shows_all_around(sphere()) and panorama.shows_all_around(two_fisheyes())


@pytest.mark.parametrize(
    "flat",
    [
        picture(3, 512, 256),
        sphere().crop((0, 0, 511, 200)).resize((512, 256)),
        Image.new("RGB", (512, 256), (255, 255, 255)),
        Image.new("RGB", (512, 256)),
    ],
)
def test_pixels_of_flat_pictures(flat: Image.Image) -> None:
    assert not panorama.shows_all_around(flat)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


PROJECTION = box(b"proj", box(b"prhd", bytes(16)) + box(b"equi", bytes(20)))
SV3D = box(b"sv3d", box(b"svhd", bytes(4) + b"maker\0") + PROJECTION)
ST3D = box(b"st3d", bytes(4) + b"\x02")
FLAT_ST3D = box(b"st3d", bytes(4) + b"\x00")
GOOGLE = box(
    b"uuid",
    bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
    + b'<?xml version="1.0"?><rdf:SphericalVideo xmlns:GSpherical="x"><GSpherical:Spherical>true'
    b"</GSpherical:Spherical><GSpherical:Stitched>true</GSpherical:Stitched>"
    b"<GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType></rdf:SphericalVideo>",
)


def marked(data: bytes, mark: bytes, inside: bytes) -> bytes:
    """An MP4 (moov last) with a box added at the end of its first `inside` box."""
    out = bytearray(data)

    def walk(begin: int, end: int, above: list[int]) -> tuple[list[int], int] | None:
        while begin < end:
            size, kind = struct.unpack(">I4s", data[begin : begin + 8])
            path = [*above, begin]
            if kind == inside:
                return path, begin + size
            head = {b"stsd": 16}.get(kind, 8)
            nested = kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
            if nested and (found := walk(begin + head, begin + size, path)):
                return found
            begin += size
        return None

    found = walk(0, len(data), [])
    assert found is not None
    for at in found[0]:
        out[at : at + 4] = struct.pack(">I", struct.unpack(">I", data[at : at + 4])[0] + len(mark))
    return bytes(out[: found[1]] + mark + out[found[1] :])


@pytest.mark.parametrize(
    ("mark", "inside", "words"),
    [
        (SV3D, b"mp4v", "360 degree film"),
        (GOOGLE, b"trak", "360 degree film"),
        (ST3D, b"mp4v", "stereo film"),
        (FLAT_ST3D, b"mp4v", None),
        (b"", b"mp4v", None),
    ],
)
def test_what_a_film_says_of_its_projection(
    tmp_path: Path, mark: bytes, inside: bytes, words: str | None
) -> None:
    data = film(tmp_path / "f.mp4", 0.5).read_bytes()
    (tmp_path / "f.mp4").write_bytes(marked(data, mark, inside))
    facts = film_facts(tmp_path / "f.mp4", Room())
    assert facts is not None and facts.size == (160, 120) and facts.seconds == pytest.approx(0.5)
    assert facts.panorama is None if words is None else words in str(facts.panorama)


def test_360_degree_films_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    data = film(tmp_path / "f.mp4").read_bytes()
    folder.mkdir()
    (folder / "told.mp4").write_bytes(marked(data, SV3D, b"mp4v"))
    around = sphere(480)
    turned = [Image.fromarray(np.roll(np.asarray(around), 12 * n, axis=1)) for n in range(12)]
    write_video(folder / "untold.mp4", turned)
    message = refusal(folder, tmp_path, capsys, panoramas="leave out")
    assert message.count("a 360 degree film; import_photos.panoramas leaves such out") == 2


# Names, kinds and what is told


def test_a_raw_file_takes_no_name_from_its_jpeg(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        (folder / f"DJI_{number}.JPG").write_bytes(jpeg(number))
        (folder / f"DJI_{number}.DNG").write_bytes(b"II*\0raw")
    (folder / "DJI_1 copy.jpg").write_bytes(jpeg(1))
    (folder / "old").mkdir()
    (folder / "old" / "DJI_0.JPG").write_bytes(jpeg(0))
    run = imported(folder, tmp_path)
    kept = {e["original"]: e["file"] for e in run.report["photos"] if e["kept"]}
    assert sorted(kept.values()) == ["DJI_0.jpg", "DJI_1.jpg", "DJI_2.jpg"]
    with zipfile.ZipFile(run.archive) as archive:
        assert sorted(archive.namelist()) == sorted(kept.values())
    assert run.reason("DJI_0.DNG") == "camera raw; DJI_0.JPG is used instead"


def test_bmp_is_read_and_other_kinds_are_told(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in", 3)
    (folder / "x.bmp").write_bytes(encoded(picture(9), "BMP"))
    (folder / "x.gif").write_bytes(encoded(picture(8), "GIF"))
    (folder / "x.braw").write_bytes(b"film")
    (folder / "y.dng").write_bytes(b"raw")
    (folder / "y.insv").write_bytes(b"film")
    run = imported(folder, tmp_path)
    assert "x.bmp" in run.kept and run.entry("x.bmp")["changed"] == "converted from BMP"
    assert "this picture format is not supported" in run.reason("x.gif")
    assert "this video format is not supported" in run.reason("x.braw")
    assert "convert them" in run.reason("y.dng") and "360 degree" in run.reason("y.insv")


@pytest.mark.parametrize("suffix", [".mpg", ".ts", ".wmv"])
def test_older_kinds_of_film_are_read(tmp_path: Path, suffix: str) -> None:
    """What matters is the name: the reader goes by content."""
    frames = [picture(5, 640, 240).crop((12 * n, 0, 12 * n + 320, 240)) for n in range(12)]
    write_video(tmp_path / "v.mp4", frames).rename(tmp_path / f"v{suffix}")
    assert len(imported(tmp_path / f"v{suffix}", tmp_path).kept) >= 3


def test_hidden_photos_are_told_but_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_photos(tmp_path / "in", 3)
    for name in (".Trash-1000/files/b.jpg", "._a0.jpg", ".snakemake/a.jpg", ".thumbnails/a0.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg(7))
    (folder / ".DS_Store").write_bytes(b"x")
    run = imported(folder, tmp_path)
    assert len(run.kept) == 3
    assert "recycle bin" in run.reason(".Trash-1000/files/b.jpg")
    said = capsys.readouterr().out
    assert "Left out 3 files: " in said and "deleted files (1)" in said and "Skipped" not in said
    assert "Kept 3 photos of 3." in said
    assert len(run.report["photos"]) == 6


def test_a_name_that_is_not_utf8_goes_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_photos(tmp_path / "in", 3)
    for name, data in ((b"Stra\xdfe.jpg", jpeg(7)), (b"b\xffd.jpg", b"rubbish")):
        (Path(str(folder)) / name.decode("utf-8", "surrogateescape")).write_bytes(data)
    run = imported(folder, tmp_path)
    assert run.entry("Stra\\xdfe.jpg")["kept"]
    assert "not a picture" in run.reason("b\\xffd.jpg")
    assert "b\\xffd.jpg" in capsys.readouterr().out


def test_line_breaks_and_commands_in_names_stay_in_their_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_photos(tmp_path / "in", 3)
    (folder / "a\nb.jpg").write_bytes(jpeg(7))
    half = Image.new("L", (320, 240))
    half.paste(255, (0, 0, 320, 120))
    (folder / "a\nb_mask.png").write_bytes(encoded(half, "PNG"))
    (folder / "c; d.jpg").write_bytes(jpeg(8))
    (folder / "c; d_mask.png").write_bytes(encoded(half.resize((64, 64)), "PNG"))
    (folder / "bad\n\x1b[31m.jpg").write_bytes(b"rubbish")
    run = imported(folder, tmp_path)
    assert run.entry("a\nb.jpg")["masked"] == 0.5
    said = capsys.readouterr().out
    assert "Skipped bad\\x0a\\x1b[31m.jpg: not a picture" in said
    assert "1 mask was not used (c; d_mask.png: 64 x 64 pixels" in said


NAMES = st.text(max_size=20) | st.sampled_from(
    [
        "a.jpg",
        "a_mask.png",
        "masks/a.png",
        "a.mov",
        "IMG_E1.jpg",
        "x/.jpg",
        "_mask.png",
        "depth/.png",
    ]
)


@given(
    st.lists(NAMES, max_size=6, unique=True), st.sampled_from(["", ".jpg", ".png", ".MOV", ".dng"])
)
@settings(max_examples=100, deadline=None)
def test_any_names_are_sorted(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], end: str
) -> None:
    files = listed(*(name + end for name in names))
    parts = sort_files(files, tmp_path_factory.getbasetemp(), 1)
    told = [file.name for file in (*parts.photos, *parts.films, *parts.mask_of.values())]
    assert sorted([*told, *parts.unused, *parts.left_out]) == sorted(file.name for file in files)


def test_an_endless_name_takes_no_time() -> None:
    """Square in its length: minutes, where each pattern is tried on all of it."""
    name = "_" * 60_000
    assert companions(listed(f"{name}.jpg", f"{name}.mp4")) == {}


def test_counts_in_few_words() -> None:
    photos = [left_out(str(n), "", Cause.LIVE) for n in range(2)] + [left_out("x", "", Cause.RAW)]
    counts = count_left_out(photos)
    assert counts == {"films of Live Photos": 2, "camera raw files": 1}
    assert left_out_text(counts) == "films of Live Photos (2), camera raw files (1)"
