"""What changed between two captures of one place: where their splats differ more than each differs from its
own photos."""
