"""The command-line arguments that every stage that trains or renders has in common. Needs no torch."""

from __future__ import annotations

import argparse


def add_compute_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--device`, `--gpus` and `--threads`."""
    parser.add_argument("--device", default="auto", help="auto, cuda or cpu")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs that a scheduler gave this job")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
