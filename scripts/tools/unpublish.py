"""Take a published page away again, from its bucket or folder and from the copies of CloudFront.

    python -m scripts.tools.unpublish results/yard/published.json --distribution E2EXAMPLE
    python -m scripts.tools.unpublish s3://BUCKET/web/yard --distribution E2EXAMPLE

Earlier versions that the bucket keeps go, too; what is not part of the page stays. A later run publishes the
page again, unless `publish_web.to` is empty.
"""

from __future__ import annotations

import argparse

from scripts.lib.core.console import run_main, say
from scripts.lib.storage.copies import forget_copies
from scripts.lib.web.unpublish import page_of, unpublish


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.tools.unpublish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("page", help="published.json of the scene, or the place of the page")
    parser.add_argument("--distribution", help="the CloudFront that serves it: the stack's output")
    args = parser.parse_args(argv)
    page = page_of(args.page)
    count = unpublish(page)
    say(f"{page.place}: {count} files of the page are deleted")
    if args.distribution:
        forget_copies(args.distribution, [f"{page.path}*"])
        say(f"CloudFront forgets its copies of {page.path} within minutes")


if __name__ == "__main__":
    run_main(main)
