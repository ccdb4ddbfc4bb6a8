"""One command-line program per workflow rule; `python -m scripts.<rule> --help` works by hand."""
