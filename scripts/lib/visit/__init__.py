"""The visit of a splat: where it starts, the tour, the map, films and posters."""
