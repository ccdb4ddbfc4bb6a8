"""The published files of a scene out of codecs.json, as the table shows them."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.lib.contracts.codecs import Codecs, Shipped

# The stages' fixed file names: what the formats table links to.
FILES = {
    "ply": "splat.clean.ply",
    "sog": "splat.sog",
    "mobile_sog": "splat.mobile.sog",
    "lod": "lod.zip",
    "spz": "splat.spz",
    "compressed_ply": "splat.compressed.ply",
}
SPELT = {
    "ply": "PLY",
    "sog": "SOG",
    "mobile_sog": "SOG for phones",
    "lod": "Levels of detail",
    "spz": "SPZ",
    "compressed_ply": "Compressed PLY",
}
PURPOSE = {
    "ply": "the cleaned splat itself, for editing and archiving",
    "sog": "loaded by the web page",
    "mobile_sog": "loaded by the web page on a phone",
    "lod": "streamed by the page in site.zip",
    "spz": "for apps and engines that read SPZ",
    "compressed_ply": "for editors and older viewers",
}
OVERVIEW = "an overview, neighbours merged, for where the page cannot stream"
OF_TARGET = {"sog": "desktop", "mobile_sog": "mobile"}  # what codecs.json calls a format's target


@dataclass(frozen=True)
class Format:
    """One published file. `loss_db` is positive when the decoded file is worse than the PLY."""

    name: str  # as people write it
    key: str  # as codecs.json writes it
    file: str
    purpose: str
    bytes: int
    psnr: float
    ssim: float
    loss_db: float
    flip: float
    worst: str  # name of the view that came out worst
    gaussians: int
    sh_degree: int


def read_formats(codecs: Codecs) -> list[Format]:
    """Formats of codecs.json, smallest file first."""
    overviews = {
        name
        for name, target in OF_TARGET.items()
        if target in codecs.targets and codecs.targets[target].overview
    }
    formats = [_format(name, item, name in overviews) for name, item in codecs.formats.items()]
    return sorted(formats, key=lambda item: (item.bytes, item.name))


def _format(key: str, item: Shipped, overview: bool) -> Format:
    return Format(
        name=SPELT.get(key, key),
        key=key,
        # An address, where only a sibling's name belongs, is none of ours.
        file=FILES.get(key, "") if "/" in item.file or ":" in item.file else item.file,
        purpose=OVERVIEW if overview else PURPOSE.get(key, ""),
        bytes=item.bytes,
        psnr=item.psnr,
        ssim=item.ssim,
        loss_db=-item.delta_psnr,  # delta is decoded minus PLY
        flip=item.flip,
        worst=item.worst_view.name,
        gaussians=item.gaussians,
        sh_degree=item.sh_degree,
    )


def read_rate(codecs: Codecs) -> list[tuple[str, float, float]]:
    """Settings that compress_splat measured, as (name, MB, dB): `SH 2, 75 %`.

    It measured other photos than check_codecs, so its losses are taken off the PSNR of the PLY here.
    """
    whole = codecs.formats.get("ply")
    return [
        (
            f"SH {item.sh_degree}, {100 * item.keep:.0f} %",
            item.bytes / 1e6,
            item.psnr if whole is None else whole.psnr + item.delta_psnr,
        )
        for item in codecs.rate
        if item.effort == 1 and not item.rounding
    ]
