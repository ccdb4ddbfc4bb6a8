"""The zip that the page lays out without making it, in Node: read by Python's zipfile and our reader."""

from __future__ import annotations

import base64
import json
import random
import zipfile
from pathlib import Path
from typing import Any

from scripts.lib.core.files import reading_zip
from scripts.lib.studio.pages import PAGE
from tests.unit.studio.test_page_quality import in_node

ZIP = PAGE / "js" / "zip.js"
# Every piece of `step` bytes of the zip of each case, as an upload asks for them, one after the other.
WHOLE = """
const cases = JSON.parse(%s);
const made = [];
for (const { files, step } of cases) {
    const blob = (data) => new Blob([Buffer.from(data, 'base64')]);
    const zip = new Zip(files.map(([name, data]) => ({ name, file: blob(data) })));
    const pieces = [];
    for (let n = 0; n < zip.size; n += step) {
        const piece = await zip.slice(n, Math.min(n + step, zip.size));
        pieces.push(Buffer.from(await piece.arrayBuffer()));
    }
    made.push(Buffer.concat(pieces).toString('base64'));
}
console.log(JSON.stringify(made));
"""
# The parts of a zip that are not the files themselves. A file may be but a size.
AROUND = """
const files = %s.map(([name, text, size]) => ({ name, file: size ? { size } : new Blob([text]) }));
const zip = new Zip(files, (file) => (file.stream ? crcOf(file) : Promise.resolve(0)));
const pieces = [];
const take = async (start, end) => {
    const piece = await zip.slice(start, end);
    pieces.push([start, Buffer.from(await piece.arrayBuffer()).toString('base64')]);
};
for (const { at, head, file } of zip.entries) await take(at, at + head + (file.stream ? file.size : 0));
await take(zip.directory, zip.size);
console.log(JSON.stringify({ size: zip.size, pieces }));
"""


def run(code: str) -> Any:
    return in_node(f"import {{ Zip, crcOf }} from '{ZIP}';\n{code}")


def sparse(path: Path, laid_out: dict[str, Any]) -> None:
    """The zip on the disk, with holes where the large files are."""
    with path.open("wb") as handle:
        handle.truncate(laid_out["size"])
        for start, data in laid_out["pieces"]:
            handle.seek(start)
            handle.write(base64.b64decode(data))
    assert path.stat().st_blocks * 512 < 10**7


def test_any_files_in_pieces_of_any_size(tmp_path: Path) -> None:
    chance = random.Random(20)
    cases = []
    for number in range(20):
        names = [f"{chance.choice('aü漢/ ')}x{n}.jpg".lstrip("/") for n in range(number % 7 + 1)]
        contents = [chance.randbytes(chance.choice([0, 1, 100, 3000])) for _ in names]
        cases.append((dict(zip(names, contents, strict=True)), chance.choice([7, 64, 1000, 10**6])))
    told = [
        {
            "files": [[name, base64.b64encode(data).decode()] for name, data in files.items()],
            "step": step,
        }
        for files, step in cases
    ]
    for (files, _), made in zip(cases, run(WHOLE % json.dumps(json.dumps(told))), strict=True):
        path = tmp_path / "made.zip"
        path.write_bytes(base64.b64decode(made))
        with zipfile.ZipFile(path) as archive:
            assert {name: archive.read(name) for name in archive.namelist()} == files


def test_files_beyond_four_gigabytes(tmp_path: Path) -> None:
    """A film of 5 GB, and photos behind it: sizes and places need 64 bits (APPNOTE 4.5.3)."""
    large = 5 * 10**9
    files = [["first.jpg", "first", 0], ["film.mp4", "", large], ["behind.jpg", "behind", 0]]
    sparse(tmp_path / "large.zip", run(AROUND % json.dumps(files)))
    with reading_zip(tmp_path / "large.zip") as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        assert sizes == {"first.jpg": 5, "film.mp4": large, "behind.jpg": 6}
        assert archive.getinfo("behind.jpg").header_offset > large
        assert archive.read("first.jpg") == b"first" and archive.read("behind.jpg") == b"behind"
        with archive.open("film.mp4") as film:
            assert film.read(4) == bytes(4)


def test_a_hundred_gigabytes_of_photos(tmp_path: Path) -> None:
    """No file needs 64 bits, but where they lie and where the list of them begins."""
    files: list[list[Any]] = [[f"{n:04d}.jpg", "", 250 * 10**6] for n in range(400)]
    files.append(["last.jpg", "last", 0])
    sparse(tmp_path / "large.zip", run(AROUND % json.dumps(files)))
    with reading_zip(tmp_path / "large.zip") as archive:
        assert len(archive.infolist()) == 401 and archive.read("last.jpg") == b"last"
        assert archive.getinfo("last.jpg").header_offset > 100 * 10**9


def test_more_files_than_sixteen_bits_count(tmp_path: Path) -> None:
    files = [[f"{number}.jpg", "x", 0] for number in range(0x10000 + 5)]
    code = (
        f"const files = Array.from({{ length: {len(files)} }}, (_, n) => [`${{n}}.jpg`, 'x', 0]);"
    )
    # The bodies lie between: only the first and the last are asked for.
    code += """
const crc = () => Promise.resolve(0x8cdc1683);
const zip = new Zip(files.map(([name, text]) => ({ name, file: new Blob([text]) })), crc);
const pieces = [];
const list = { at: zip.directory, head: zip.size - zip.directory };
for (const { at, head } of [zip.entries[0], zip.entries.at(-1), list]) {
    const piece = await zip.slice(at, Math.min(zip.size, at + head + 1));
    pieces.push([at, Buffer.from(await piece.arrayBuffer()).toString('base64')]);
}
console.log(JSON.stringify({ size: zip.size, pieces }));
"""
    sparse(tmp_path / "many.zip", run(code))
    with zipfile.ZipFile(tmp_path / "many.zip") as archive:
        assert len(archive.infolist()) == len(files)
        assert archive.read("0.jpg") == archive.read(f"{len(files) - 1}.jpg") == b"x"
