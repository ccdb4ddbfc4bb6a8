"""Files for other programs: on the globe, and in other formats."""
