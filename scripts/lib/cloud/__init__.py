"""The job API: what starts, tells of and stops runs on AWS Batch for callers of an HTTP address."""
