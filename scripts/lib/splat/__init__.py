"""Gaussians, their PLY, and where they are solid."""
