"""In how many parts the photos of a large scene are searched for features, and its pairs are matched."""

from __future__ import annotations

UNDIVIDED = 600  # photos up to which one job does it: as many as are trained in one block
PHOTOS_A_PART = 250
MOST = 100  # as the bound of extract_features.parts
WHOLE = ("extract_features", "match_photos")
EACH = ("extract_part", "match_part")  # a job for each part
IN_PARTS = ("extract_part", "gather_features", "plan_pairs", "match_part", "gather_matches")


def automatic(photos: int) -> int:
    """Parts of a scene of so many photos; 0 photos: not known."""
    return 1 if photos <= UNDIVIDED else min(MOST, round(photos / PHOTOS_A_PART))
