"""Shared code behind the scripts, one small module per subject. Never imports snakemake."""
