"""What a page must not tell."""

from __future__ import annotations

from scripts.lib.web.privacy import photo_numbers, without_photo_names
from tests.photo_lines import line


def test_names_go_as_texts_as_keys_and_inside_sentences() -> None:
    numbers = photo_numbers([line("Anna.jpg", original="me/Anna.JPG")])
    told = {"Anna.jpg": 20.0, "psnr": 27.0, "said": "worst: Anna.jpg", "names": ["Anna", "b"]}
    assert without_photo_names(told, numbers) == {
        "photo_0001": 20.0,
        "psnr": 27.0,
        "said": "worst: photo_0001",
        "names": ["photo_0001", "b"],
    }
