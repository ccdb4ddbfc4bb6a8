"""Two captures of one place in one frame: features that both saw, and the similarity that they tell."""
