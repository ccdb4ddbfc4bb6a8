"""The trainer: initial Gaussians, optimiser, densification, the loop, checkpoints. Needs torch."""
