"""Camera poses and a sparse cloud from photos, on top of pycolmap: the only package that imports it."""
