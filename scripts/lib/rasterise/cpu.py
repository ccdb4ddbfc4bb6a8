"""The CPU backend (for the moment the plain-torch reference)."""

from scripts.lib.rasterise.reference import render

__all__ = ["render"]
