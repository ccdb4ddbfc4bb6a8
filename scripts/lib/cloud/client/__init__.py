"""A client of the job API, for people and for other programs."""
