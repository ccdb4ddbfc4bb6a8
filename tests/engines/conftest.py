"""The finished run of tests/workflow, to start from."""

from tests.workflow.conftest import finished  # noqa: F401
