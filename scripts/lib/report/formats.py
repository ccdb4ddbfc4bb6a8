"""The shipped files of a scene out of codecs.json, in one shape whatever the nesting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scripts.lib.report.values import number, objects, text

# The stages' fixed file names: what the formats table links to.
FILES = {
    "ply": "splat.clean.ply",
    "sog": "splat.sog",
    "mobile_sog": "splat.mobile.sog",
    "lod": "lod.zip",
    "spz": "splat.spz",
    "compressed_ply": "splat.compressed.ply",
    "compressed.ply": "splat.compressed.ply",
}
SPELT = {
    "ply": "PLY",
    "sog": "SOG",
    "mobile_sog": "SOG for phones",
    "lod": "Levels of detail",
    "spz": "SPZ",
    "compressed_ply": "Compressed PLY",
    "compressed.ply": "Compressed PLY",
}
PURPOSE = {
    "ply": "the trained splat itself, for editing and archiving",
    "sog": "what the web page loads",
    "mobile_sog": "what the web page loads on a phone",
    "lod": "what the page of site.zip streams",
    "spz": "for apps and engines that read SPZ",
    "compressed_ply": "for editors and older viewers",
    "compressed.ply": "for editors and older viewers",
}


@dataclass(frozen=True)
class Format:
    """One file that ships. `loss_db` is positive when the decoded file is worse than the PLY."""

    name: str  # as people write it
    key: str  # as codecs.json writes it
    file: str
    purpose: str
    bytes: float | None
    psnr: float | None
    ssim: float | None
    loss_db: float | None
    flip: float | None = None
    worst: str = ""  # name of the view that came out worst
    gaussians: float | None = None
    sh_degree: float | None = None


def read_formats(codecs: dict[str, Any]) -> list[Format]:
    """Formats of codecs.json, smallest file first: under `formats`, or at its top level."""
    found = codecs.get("formats", codecs)
    if isinstance(found, list):
        found = {
            text(item.get("format") or item.get("name")): item
            for item in found
            if isinstance(item, dict)
        }
    if not isinstance(found, dict):
        return []
    formats = [
        _format(name, item)
        for name, item in found.items()
        if isinstance(item, dict) and "bytes" in item
    ]
    return sorted(formats, key=lambda item: (item.bytes is None, item.bytes or 0.0, item.name))


def _format(name: str, item: dict[str, Any]) -> Format:
    key = name.lower().removeprefix("splat.")
    file = text(item.get("file"))
    if "/" in file or ":" in file:  # an address, where only a sibling's name belongs
        file = ""
    delta = number(item.get("delta_psnr"))
    return Format(
        name=SPELT.get(key, name),
        key="compressed_ply" if key == "compressed.ply" else key,
        file=file or FILES.get(key, ""),
        purpose=PURPOSE.get(key, ""),
        bytes=number(item.get("bytes")),
        psnr=number(item.get("psnr")),
        ssim=number(item.get("ssim")),
        loss_db=None if delta is None else -delta,  # delta is decoded minus PLY
        flip=number(item.get("flip")),
        worst=text((item.get("worst_view") or {}).get("name")),
        gaussians=number(item.get("gaussians")),
        sh_degree=number(item.get("sh_degree")),
    )


def read_rate(codecs: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Settings that compress_splat measured, as (name, MB, dB): `SH 2, 75 %`.

    It measured other photos than check_codecs, so its losses are taken off the PSNR of the PLY here.
    """
    whole = next((item.psnr for item in read_formats(codecs) if item.key == "ply"), None)

    def shown(item: dict[str, Any]) -> float | None:
        delta = number(item.get("delta_psnr"))
        return number(item.get("psnr")) if whole is None or delta is None else whole + delta

    return [
        (f"SH {degree:.0f}, {100 * keep:.0f} %", size / 1e6, psnr)
        for item in objects(codecs.get("rate"))
        if (degree := number(item.get("sh_degree"))) is not None
        and (keep := number(item.get("keep"))) is not None
        and (size := number(item.get("bytes")))
        and (psnr := shown(item)) is not None
        and number(item.get("effort")) == 1
        and not number(item.get("rounding"))
    ]
