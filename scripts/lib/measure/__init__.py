"""How good a splat is, and which of its Gaussians are rubbish. Needs torch."""
