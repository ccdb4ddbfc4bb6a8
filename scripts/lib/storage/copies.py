"""What CloudFront keeps of files in a bucket: copies near visitors, for as long as their headers allow."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from scripts.lib.core.console import UserError
from scripts.lib.storage import library


def forget_copies(
    distribution: str, paths: Sequence[str], attempts: int = library.ATTEMPTS
) -> None:
    """Have a distribution throw away its copies under paths such as /yard/*.

    Raises UserError when AWS refuses.
    """
    errors = library.boto3("botocore.exceptions")
    batch = {
        "Paths": {"Quantity": len(paths), "Items": list(paths)},
        "CallerReference": str(uuid.uuid4()),
    }
    try:
        library.client("cloudfront", attempts).create_invalidation(
            DistributionId=distribution, InvalidationBatch=batch
        )
    except (errors.BotoCoreError, errors.ClientError) as error:
        listed = " ".join(f"'{path}'" for path in paths)
        raise UserError(
            f"the page is gone, but CloudFront may show its copies ({error}); run `aws cloudfront"
            f" create-invalidation --distribution-id {distribution} --paths {listed}`"
        ) from None
