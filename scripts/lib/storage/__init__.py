"""Places of a run that are no outputs: a folder, or a prefix in S3."""
