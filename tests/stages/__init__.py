"""Whole stages and programs at work on made-up captures. Minutes, where `tests/unit` takes seconds."""
