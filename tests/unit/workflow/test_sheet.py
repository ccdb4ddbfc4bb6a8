"""Sheets as editors and spreadsheets write them: read as they are meant, or refused with file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.workflow.scenes import load_scenes
from scripts.lib.workflow.settings import scene_settings, workflow_settings
from tests.conftest import ROOT

PLAIN = "scene\tsource\tbundle_web.title\nyard\tphotos\tStraße\n"
READ = {"yard": {"scene": "yard", "source": "photos", "bundle_web.title": "Straße"}}


NOTE = {"title": "x", "position": [1, 2, 3]}


def sheet_of(folder: Path, data: str | bytes) -> Path:
    path = folder / "my.tsv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def options(sheet: Path, scene: str = "yard") -> dict[str, Any]:
    return scene_settings(workflow_settings({}, ROOT), {}, load_scenes(sheet, ROOT)[scene], ROOT)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        PLAIN.encode("utf-32"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.rstrip().encode(),
        PLAIN.replace("\n", "\t\t\t\r\n").encode(),
        PLAIN.replace("\n", "\n\n\t\t\n  \n").encode(),
        b"# by hand\n  # indented\n"
        + PLAIN.encode()
        + b'"# written by a spreadsheet, in quotes"\t\t\n',
        PLAIN.replace("\t", "  \t ").encode(),
        PLAIN.replace("yard", " yard\u00a0").encode(),
        b"\n" + PLAIN.encode() + b'""\t""\t""\n',
        PLAIN.replace("photos", '"photos"').replace("source", '"source"').encode(),
    ],
)
def test_what_is_read_alike(tmp_path: Path, data: bytes) -> None:
    assert load_scenes(sheet_of(tmp_path, data), ROOT) == READ


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('"The ""old"" mill"', 'The "old" mill'),
        ('The "old" mill', 'The "old" mill'),
        ('12" telescope', '12" telescope'),
        ('"first line\nsecond"', "first line second"),
        ('"a, b; c"', "a, b; c"),
        ("a\u2028b\x85c\x0bd", "a\u2028b\x85c\x0bd"),  # no line ends of a text file
        ("#1 in the list", "#1 in the list"),
        ("'single'", "'single'"),
    ],
)
def test_quotation_marks_as_spreadsheets_write_them(tmp_path: Path, cell: str, text: str) -> None:
    sheet = sheet_of(tmp_path, f"scene\tsource\tbundle_web.title\nyard\tp\t{cell}\nmill\tq\tx\n")
    scenes = load_scenes(sheet, ROOT)
    assert scenes["yard"]["bundle_web.title"] == text
    assert scenes["mill"] == {"scene": "mill", "source": "q", "bundle_web.title": "x"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            'a\tp\t"Old mill\nb\tp\tx\n',
            r"line 2: the cell '\"Old mill' begins with a quotation mark",
        ),
        ('a\tp\t"Old" mill\n', "line 2: the cell"),
        ('a\tp\t"Old mill', "line 2: the cell"),
        ('a\t"p\tx"\n', "line 2: the cell '\"p' begins"),
        ('# one\n# two\n\na\tp\t"x\n', "line 5: the cell"),
        ('a\tp\t"two\nlines"\nb\tp\t"x\n', "line 4: the cell"),
        ("a\tp\tx\ty\n", "line 2: there are 4 cells but only 3 columns"),
        ("# one\n\n# two\na b\tp\n", "line 5: 'scene' is 'a b'"),
        ("\tp\tx\n", "line 2: 'scene' is missing"),
        ("a\n", "line 2: 'source' is missing"),
        ("a\tp\nb\tq\n#\na\tr\n", r"scene 'a' appears twice, in lines 2 and 5"),
        ("logs\tp\n", "line 2: no scene can be called 'logs'"),
        ("a" * 101 + "\tp\n", "line 2: .* 100 characters"),
        ("a\tphotos {1}\n", "line 2: source is 'photos .1.', but Snakemake reads braces"),
        ("a\t~nobody-of-this-name/x\n", "line 2: source is '~nobody-of-this-name/x'"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    sheet = sheet_of(tmp_path, f"scene\tsource\tbundle_web.title\n{text}")
    with pytest.raises(UserError, match=sentence) as caught:
        load_scenes(sheet, ROOT)
    assert str(caught.value).startswith(str(sheet)) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b"# only comments\n\n", "is empty"),
        (b"scene\tsource\n", "contains no scene"),
        (b"scene,source\nyard,photos\n", "line 1: columns are separated by commas"),
        (b"scene;source\nyard;photos\n", "line 1: columns are separated by semicolons"),
        (b"scene source\nyard photos\n", "there is no column 'scene'"),
        (b"yard\tphotos\n", "there is no column 'scene'"),
        (b"scene\tsource\tsource\nyard\tp\tq\n", "line 1: the column 'source' appears twice"),
        (b"scene\t\tsource\nyard\tphotos\n", "line 2: 'photos' is in a column without a name"),
        (b"scene\tsource\tbundle_web.titel\nyard\tp\n", "did you mean 'bundle_web.title'?"),
        (b"scene\tsource\ttrain_splat.stpes\nyard\tp\n", "did you mean 'train_splat.steps'?"),
        (b"scene\tsource\tsteps\nyard\tp\n", "did you mean 'train_splat.steps'?"),
        (
            b"scene\tsource\tprest\nyard\tp\n",
            "unknown key 'prest' in the first line; did you mean 'preset'",
        ),
        (
            PLAIN.encode("cp1252"),
            "line 2: the byte 0xdf is not UTF-8; save it as tab-separated text in UTF-8",
        ),
        (PLAIN.replace("\n", "\r").encode("cp1252"), "line 2: the byte 0xdf"),
        (b"PK\x03\x04" + bytes(50), "is a workbook, not text"),
        (b"\xd0\xcf\x11\xe0" + bytes(50), "is a workbook, not text"),
        (b"scene\tsource\nyard\tp\0q\n", "is not text"),
    ],
)
def test_a_bad_sheet_is_told(tmp_path: Path, data: bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence.replace("?", r"\?")):
        load_scenes(sheet_of(tmp_path, data), ROOT)


def test_a_sheet_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"none.tsv does not exist in {tmp_path}"):
        load_scenes(Path("none.tsv"), ROOT)
    with pytest.raises(UserError, match="is a folder"):
        load_scenes(tmp_path, ROOT)


def test_the_sample_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout's own sheet, with paths from there; a sheet here goes first."""
    monkeypatch.chdir(tmp_path)
    default = Path("config/scenes.tsv")
    assert Path(load_scenes(default, ROOT)["courtyard"]["source"]).is_dir()
    (tmp_path / "config").mkdir()
    (tmp_path / default).write_text("scene\tsource\nmine\tphotos\n")
    assert load_scenes(default, ROOT)["mine"]["source"] == "photos"


def test_the_home_folder_in_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    sheet = sheet_of(tmp_path, "scene\tsource\na\t~/photos of a/\nb\t./~\nc\ts3://bucket/~x\n")
    assert [row["source"] for row in load_scenes(sheet, ROOT).values()] == [
        "/home/me/photos of a/",
        "./~",
        "s3://bucket/~x",
    ]


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("train_splat.steps", "100", 100),
        ("train_splat.steps", "100.0", 100),
        ("train_splat.steps", "1e3", 1000),
        ("train_splat.steps", "010", 10),
        ("train_splat.steps", "auto", "auto"),
        ("clean_splat.max_drop_db", "5e-3", 0.005),
        ("clean_splat.max_drop_db", ".5", 0.5),
        ("bundle_web.tour", "FALSE", False),
        ("bundle_web.tour", "no", False),
        ("bundle_web.title", "1984", "1984"),
        ("bundle_web.title", "007", "007"),
        ("bundle_web.title", "yes", "yes"),
        ("bundle_web.title", "{curly}: [", "{curly}: ["),
        ("bundle_web.date", "2024-05-01", "2024-05-01"),
        ("clean_splat.crop", "{sphere: [0, 0, 0, 5e-1]}", {"sphere": [0, 0, 0, "5e-1"]}),
        ("clean_splat.crop", '"{""sphere"": [0, 0, 0, 1]}"', {"sphere": [0, 0, 0, 1]}),
        ("bundle_web.annotations", '[{"title": "x", "position": [1, 2, 3]}]', [NOTE]),
    ],
)
def test_cells_as_options(tmp_path: Path, column: str, cell: str, value: Any) -> None:
    found: Any = options(sheet_of(tmp_path, f"scene\tsource\t{column}\nyard\tp\t{cell}\n"))
    for key in column.split("."):
        found = found[key]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("column", "cell", "sentence"),
    [
        (
            "clean_splat.crop",
            "{box: [[0,0,0],[1,1,1]",
            "clean_splat.crop: .* is neither JSON nor YAML",
        ),
        ("clean_splat.crop", "{ball: 3}", "clean_splat.crop is"),
        ("clean_splat.crop", "{sphere: [0, 0, 0, .nan]}", "infinite or not a number"),
        ("clean_splat.crop", "{sphere: [0, 0, 0, nan]}", "clean_splat.crop is"),
        ("clean_splat.crop", "{box: [[0,0,0],[1,1,true]]}", "clean_splat.crop is"),
        ("clean_splat.crop", "5", "its options must follow by name"),
        ("bundle_web.annotations", '[{"text": "no title"}]', "annotation 1 of .* needs a title"),
        ("bundle_web.annotations", '[{"title": "x", "position": [1, 2]}]', "annotation 1"),
        (
            "bundle_web.annotations",
            '[{"title": "x", "positon": [1, 2, 3]}]',
            "did you mean 'position'",
        ),
        ("bundle_web.annotations", '{"title": "x"}', "it must be a list, in square brackets"),
        ("bundle_web.annotations", "[3]", "must be of type object|its options must|annotation 1"),
        ("train_splat.steps", "100.5", "allowed: auto or integer"),
        ("train_splat.steps", ".inf", "infinite"),
        (
            "clean_splat.min_opacity",
            ".nan",
            "'clean_splat.min_opacity' is infinite or not a number",
        ),
        ("clean_splat.max_drop_db", "1e999", "infinite"),
        ("clean_splat.max_drop_db", "0,5", "of type number, with a point: 0.5"),
        ("bundle_web.tour", "perhaps", "of type boolean"),
        ("train_splat.steps", "-5", "'train_splat.steps' is -5; allowed: auto or integer"),
        ("preset", "best", "'preset' is 'best'; allowed: draft, standard, high"),
        ("publish_web.to", "gs://bucket/x", "give s3://BUCKET/PREFIX or a folder"),
        ("compress_splat.desktop_loss_db", "0.9", "check_codecs.max_loss_db only 0.5"),
        ("import_photos.max_side", "100", "import_photos.min_side is 200 and max_side 100"),
    ],
)
def test_a_bad_cell_is_told_with_its_line(
    tmp_path: Path, column: str, cell: str, sentence: str
) -> None:
    """Before the first job and in one sentence: some used to end hours later, some in a traceback."""
    sheet = sheet_of(tmp_path, f"# mine\nscene\tsource\t{column}\n\nyard\tp\t{cell}\n")
    with pytest.raises(UserError, match=sentence) as caught:
        options(sheet)
    assert f"{sheet}, line 4 (scene 'yard')" in str(caught.value)
