"""The words of the page: every language has every one, and the page asks for none that is not there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from scripts.lib.report.stages import IN_WORDS
from scripts.lib.studio.pages import PAGE

SCRIPTS = sorted((PAGE / "js").glob("*.js"))
# Keys that are put together while the page runs: what they begin with, and all that may follow.
FLAGS = ["good", "blurred", "copy", "dark", "bright", "nogps", "unseen", "masked", "out"]
STATES = ["queued", "running", "done", "failed", "stopped"]


@pytest.fixture(scope="module")
def tables() -> dict[str, dict[str, str]]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    code = f"import {{ STRINGS }} from '{PAGE / 'js' / 'strings.js'}'; console.log(JSON.stringify(STRINGS))"
    made = subprocess.run(
        [node, "--input-type=module", "-e", code], capture_output=True, text=True, check=True
    )
    found: dict[str, dict[str, str]] = json.loads(made.stdout)
    return found


def test_every_language_has_every_word(tables: dict[str, dict[str, str]]) -> None:
    for language, table in tables.items():
        assert set(table) == set(tables["en"]), language
        for key, words in table.items():
            blanks = set(re.findall(r"\{\w+\}", words))
            assert blanks == set(re.findall(r"\{\w+\}", tables["en"][key])), (language, key)


def asked() -> set[str]:
    """Every key that the page names."""
    text = "".join(path.read_text() for path in SCRIPTS if "strings" not in path.name)
    text += (PAGE / "index.html").read_text()
    found = set(re.findall(r"""\bt\(\s*'([\w.]+)'""", text))
    found |= set(re.findall(r"""\? '([a-z]+\.[\w.]+)' : '[a-z]+\.""", text))
    found |= set(re.findall(r"""\? '[a-z]+\.[\w.]+' : '([a-z]+\.[\w.]+)'""", text))
    return found | set(re.findall(r'data-text="([\w.]+)"', text))


def test_every_word_is_there_and_used(tables: dict[str, dict[str, str]]) -> None:
    made = {f"flag.{name}" for name in FLAGS} | {f"state.{name}" for name in STATES}
    missing = (asked() | made) - set(tables["en"])
    assert not missing
    text = "".join(path.read_text() for path in SCRIPTS if "strings" not in path.name)
    families = {key for key in tables["en"] if f"{key.split('.')[0]}.${{" in text.replace("`", "")}
    single = {key.removesuffix(".one") for key in tables["en"]} - asked() - families
    assert {key for key in single if f"'{key}'" not in text} <= {"name", "form.draft.hint"}


def test_every_stage_has_a_name(tables: dict[str, dict[str, str]]) -> None:
    named = {key.removeprefix("stage.") for key in tables["en"] if key.startswith("stage.")}
    assert set(IN_WORDS) <= named


def test_nothing_is_loaded_from_elsewhere_and_no_html_is_made_of_text() -> None:
    for path in (*SCRIPTS, *(PAGE / "style").glob("*.css"), PAGE / "index.html"):
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        text = text.replace("https://example.org/scene/", "")
        assert not re.search(r"https?://", text), path.name
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text), (
            path.name
        )
