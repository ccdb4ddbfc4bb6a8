"""Photos, videos and what comes with them, from the forms people have them in to one checked archive."""
