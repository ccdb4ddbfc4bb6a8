"""The report a photographer reads: one HTML file per scene and an index, from the stages' JSON only."""
