"""What tests do on the studio's page, as a person does it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

# As a person drops files: what a browser makes of them.
DROP = """async (files) => {
    const transfer = new DataTransfer();
    for (const { name, data } of files) {
        const bytes = Uint8Array.from(atob(data), (sign) => sign.codePointAt(0));
        transfer.items.add(new File([bytes], name, { type: 'image/jpeg', lastModified: 1700000000000 }));
    }
    for (const type of ['dragover', 'drop']) {
        document.querySelector('.zone').dispatchEvent(
            new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }
}"""


def drop(page: Any, files: list[Path]) -> None:
    """Drop files onto the page of a new scene."""
    packed = [{"name": f.name, "data": base64.b64encode(f.read_bytes()).decode()} for f in files]
    page.evaluate(DROP, packed)


def flags(page: Any) -> dict[str, str]:
    """What the page says of each photo, by its name."""
    return {
        item.query_selector(".name").inner_text(): item.query_selector(".flags").inner_text()
        for item in page.query_selector_all(".photo")
    }


def fill_and_start(page: Any, title: str = "The old mill") -> None:
    """Give the scene a title, and start."""
    page.get_by_label("Title").fill(title)
    page.get_by_role("button", name="Make the scene").click()


def violations(page: Any, axe: str) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA and its own best practices, frames of scenes apart."""
    page.wait_for_timeout(300)  # colours that fade in are not yet those that are meant
    page.evaluate(axe)
    found = page.evaluate("axe.run({ exclude: [['iframe']] }, { iframes: false })")
    return [
        f"{item['id']}: {node['html'][:120]}"
        for item in found["violations"]
        for node in item["nodes"]
    ]
