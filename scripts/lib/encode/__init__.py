"""File formats of splats, levels of detail, and the search for the lightest file. Runs without torch."""
