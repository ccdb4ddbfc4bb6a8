"""Uploads to the bucket in parts. S3 keeps those that came, so an upload goes on where it stopped."""

from __future__ import annotations

from scripts.lib.cloud.aws import LINK_SECONDS, Account

MIB = 2**20
LEAST_PART = 8 * MIB
# S3, "Multipart upload limits"; a part has 5 MiB to 5 GiB, the last may be smaller.
MOST_PARTS = 10_000


def part_bytes(size: int) -> int:
    """How large the parts of a file are: whole MiB, so that S3 takes their number."""
    return max(LEAST_PART, -(-size // (MOST_PARTS * MIB)) * MIB)


def parts_of(size: int, each: int) -> dict[int, int]:
    """{number: bytes} of all parts of a file."""
    starts = range(0, size, each)
    return {number: min(each, size - start) for number, start in enumerate(starts, 1)}


def begin(account: Account, key: str) -> str:
    """Begin an upload to `key`; S3's id of it."""
    answer = account.client("s3").create_multipart_upload(Bucket=account.bucket, Key=key)
    return str(answer["UploadId"])


def parts_there(account: Account, key: str, upload: str) -> dict[int, tuple[int, str]] | None:
    """{number: (bytes, ETag)} of the parts that S3 has; None when it does not know the upload any more.

    It forgets those that are complete, and those that the bucket's lifecycle ended.
    """
    from botocore.exceptions import ClientError

    pages = account.client("s3").get_paginator("list_parts")
    found: dict[int, tuple[int, str]] = {}
    try:
        for page in pages.paginate(Bucket=account.bucket, Key=key, UploadId=upload):
            for part in page.get("Parts", []):
                found[int(part["PartNumber"])] = (int(part["Size"]), str(part["ETag"]))
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchUpload":
            return None
        raise
    return found


def part_url(account: Account, key: str, upload: str, number: int, size: int) -> str:
    """An address to which a part of exactly `size` bytes may be PUT for an hour.

    The length is signed, so that nobody fills the bucket through it.
    """
    wanted = {"Bucket": account.bucket, "Key": key, "UploadId": upload, "PartNumber": number}
    address: str = account.client("s3").generate_presigned_url(
        "upload_part", Params={**wanted, "ContentLength": size}, ExpiresIn=LINK_SECONDS
    )
    return address


def complete(account: Account, key: str, upload: str, parts: dict[int, tuple[int, str]]) -> None:
    """Make one object of all parts."""
    listed = [{"PartNumber": number, "ETag": tag} for number, (_, tag) in sorted(parts.items())]
    account.client("s3").complete_multipart_upload(
        Bucket=account.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": listed}
    )


def abort(account: Account, key: str, upload: str) -> None:
    """Give an upload up, and its parts; nothing happens when S3 does not know it."""
    from botocore.exceptions import ClientError

    try:
        account.client("s3").abort_multipart_upload(Bucket=account.bucket, Key=key, UploadId=upload)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise
