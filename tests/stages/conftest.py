"""Fixtures that these tests share with the unit tests."""

from tests.unit.conftest import aws_models, s3  # noqa: F401
