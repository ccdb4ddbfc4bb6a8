"""The hook for a detector: a tiny one that hides what is red, and those that break the contract."""

from __future__ import annotations

import base64
import io
import os
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.lib.cloud.request import RefusedError
from scripts.lib.core.console import UserError
from scripts.lib.studio import detector as room
from scripts.lib.studio.detecting import MOST_PHOTOS, unpacked
from scripts.lib.studio.detector import Detector, detect, detector_of
from tests.unit.studio.conftest import Served, Serving

# As config/detector.md asks for it: black where the photo is red.
RED = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
photos, masks = map(Path, sys.argv[-2:])
for path in photos.glob("*.jpg"):
    pixels = np.asarray(Image.open(path).convert("RGB"), int)
    red = (pixels[..., 0] > 200) & (pixels[..., 1:].max(axis=2) < 80)
    if red.any():
        Image.fromarray(np.where(red, 0, 255).astype("uint8")).save(masks / f"{path.name}.png")
"""


def program(folder: Path, code: str, **limits: float) -> Detector:
    """A detector made of some Python."""
    path = folder / "a detector.py"
    path.write_text(code)
    made = detector_of(f"'{sys.executable}' '{path}'")
    assert made is not None
    return replace(made, **limits)  # type: ignore[arg-type]


def photo(red: bool = False) -> bytes:
    """A grey photo of 64 x 48 pixels, its left upper quarter red if asked for."""
    pixels = np.full((48, 64, 3), 120, np.uint8)
    if red:
        pixels[:24, :32] = (250, 10, 10)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def packed(**photos: bytes) -> bytes:
    """A zip as the page sends it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in photos.items():
            archive.writestr(f"{name.removeprefix('n')}.jpg", data)
    return buffer.getvalue()


def test_what_it_finds_comes_back_as_masks(serve: Serving, served: Served, tmp_path: Path) -> None:
    other = serve(replace(served.studio, detector=program(tmp_path, RED)))
    assert other.call("GET", "/studio.json")[1]["detector"] is True
    code, told = other.call("POST", "/detect", packed(n0=photo(), n1=photo(red=True)))
    assert code == 200 and list(told["masks"]) == ["1.jpg"]
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(told["masks"]["1.jpg"]))))
    assert mask.shape == (48, 64) and set(np.unique(mask)) == {0, 255}
    assert (mask[:20, :28] == 0).all() and (mask[28:] == 255).all() and (mask[:, 36:] == 255).all()
    assert not list(served.studio.home.path.glob(".detect*")), "nothing stays"


def test_without_one_the_studio_says_so(served: Served) -> None:
    assert served.call("GET", "/studio.json")[1]["detector"] is False
    code, told = served.call("POST", "/detect", packed(n0=photo()))
    assert code == 404 and "--detector" in told["error"]


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        (
            "print('no weights at /models')\nraise SystemExit(3)",
            502,
            "code 3: no weights at /models",
        ),
        ("import sys; open(sys.argv[-1] + '/0.jpg.png', 'w').write('x')", 502, "mask of 0.jpg"),
        (
            "import sys; from PIL import Image;"
            " Image.new('L', (5, 5)).save(sys.argv[-1] + '/0.jpg.png')",
            502,
            "5 x 5 pixels, not 64 x 48",
        ),
        ("import time; time.sleep(60)", 504, "took too long"),
    ],
)
def test_one_that_breaks_its_contract_is_told(
    tmp_path: Path, code: str, status: int, said: str
) -> None:
    made = program(
        tmp_path, code, start_seconds=2.0 if "sleep" in code else 60.0, photo_seconds=0.0
    )
    with pytest.raises(RefusedError, match=said) as refused:
        detect(made, {"0.jpg": photo()}, tmp_path)
    assert refused.value.status == status


def test_it_may_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_MASK_BYTES", 1000)
    monkeypatch.setattr(room, "MOST_PHOTO_BYTES", 10_000)
    code = "import sys, time; open(sys.argv[-1] + '/x', 'wb').write(bytes(20_000)); time.sleep(60)"
    with pytest.raises(RefusedError, match="wrote too much"):
        detect(program(tmp_path, code), {"0.jpg": photo()}, tmp_path)


def test_its_programs_end_with_it_and_it_knows_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLATMAKE_STUDIO_TOKEN", "a-token-of-the-team")
    told = tmp_path / "told.txt"
    code = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(told)!r}, "w").write(f"{{child.pid}} {{'SPLATMAKE_STUDIO_TOKEN' in os.environ}}")
"""
    assert detect(program(tmp_path, code), {"0.jpg": photo()}, tmp_path) == {}
    child, knows = told.read_text().split()
    assert knows == "False"
    end = time.monotonic() + 30
    while is_alive(int(child)):
        assert time.monotonic() < end
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked after is none."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_link_out_of_its_folder_is_no_mask(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("L", (64, 48)).save(secret)
    code = f"import os, sys; os.symlink({str(secret)!r}, sys.argv[-1] + '/0.jpg.png')"
    assert detect(program(tmp_path, code), {"0.jpg": photo()}, tmp_path) == {}


@pytest.mark.parametrize("name", ["../0.jpg", "a.jpg", "0.png", "000.jpg"])
def test_names_are_not_trusted(name: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, photo())
    with pytest.raises(RefusedError, match="must be called"):
        unpacked(buffer.getvalue())


def test_only_few_photos_that_are_some(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="at once"):
        unpacked(packed(**{f"n{number}": b"x" for number in range(MOST_PHOTOS + 1)}))
    with pytest.raises(RefusedError, match="no zip"):
        unpacked(b"PK")
    squeezed = io.BytesIO()
    with zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.jpg", bytes(10**6))
    with pytest.raises(RefusedError, match="stored as they are"):
        unpacked(squeezed.getvalue())
    with pytest.raises(RefusedError, match="no JPEG"):
        detect(program(tmp_path, RED), {"0.jpg": b"GIF89a"}, tmp_path)


def test_a_command_that_is_none_is_told_at_the_start() -> None:
    assert detector_of("") is None
    with pytest.raises(UserError, match="no program 'no-such-program'"):
        detector_of("no-such-program --fast")
    with pytest.raises(UserError, match="close its quotes"):
        detector_of("'python")
