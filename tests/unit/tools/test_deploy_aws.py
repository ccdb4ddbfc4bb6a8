"""What scripts.tools.deploy_aws tells to deploy the stack with."""

from __future__ import annotations

from scripts.lib.workflow.container_images import Image
from scripts.tools.deploy_aws import parameters
from tests.aws.template import PARAMETERS


def test_the_coordinators_image_is_named_by_its_digest_once_that_is_locked() -> None:
    keys = {"workflow": "releases/workflow-1.zip", "api": "releases/api-1.zip"}
    digest = "sha256:" + "0" * 64
    runner = Image("runner", "0123", {"ghcr.io/me": digest})
    told = parameters(keys, runner, "ghcr.io/me")
    assert told.endswith(f" RunnerTag=0123 RunnerDigest={digest}")
    # In another registry the image has another digest or none; an empty one takes the place of an old one.
    assert parameters(keys, runner, "ghcr.io/others").endswith(" RunnerTag=0123 RunnerDigest=")
    assert {word.partition("=")[0] for word in told.split()} <= set(PARAMETERS)
