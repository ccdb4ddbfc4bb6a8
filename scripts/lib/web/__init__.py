"""The page: the bundle, its manifest, what it may tell, and Node, which makes it."""
