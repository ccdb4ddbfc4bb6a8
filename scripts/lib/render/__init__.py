"""Pictures of a splat: where they are computed, and the one renderer for all. Needs torch."""
