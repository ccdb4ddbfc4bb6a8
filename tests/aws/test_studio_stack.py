"""The studio in config/aws/stack.yaml: a page that nobody frames, a sign-in without a secret, who may call.

Each check names the page of AWS's documentation, or the standard, that it comes from.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from scripts.lib.studio.guard import HEADERS, PAGE_POLICY
from tests.aws.evaluate import evaluated
from tests.aws.studio_site import ON, headers_of, stack
from tests.aws.template import PARAMETERS, WHOLE
from tests.aws.test_constraints import LONGEST_STACK

HOME = "https://StudioPage.DomainName"
OWN = {"JwtIssuer": "https://id.example.org/realm", "JwtAudience": "api", "StudioClientId": "page"}
WAYS: list[dict[str, str]] = [{}, OWN]


def properties(name: str, **given: str) -> dict[str, Any]:
    """What a resource of a stack with a studio says."""
    found: dict[str, Any] = stack(**given).resources[name]["Properties"]
    return found


def directives(policy: str) -> dict[str, set[str]]:
    """A content security policy by its directives (CSP 3, 2.2)."""
    words = [part.split() for part in policy.split(";") if part.strip()]
    return {name: set(sources) for name, *sources in words}


def test_a_stack_has_no_studio_unless_asked() -> None:
    for given in ({}, {"ApiCode": "a", "WorkflowCode": "w"}, {"Studio": "true"}):
        made = evaluated(WHOLE, **given)
        text = json.dumps([made.resources, made.outputs])
        assert "StudioPage" not in text and "AWS::Cognito" not in text, given
    assert "ApiCode" in json.dumps(WHOLE["Rules"]["StudioWithApi"])
    assert "StudioClientId" in json.dumps(WHOLE["Rules"]["StudioWithClient"])
    assert "StudioCertificateArn" in json.dumps(WHOLE["Rules"]["CertificateForStudio"])


@pytest.mark.parametrize("given", WAYS, ids=["user pool", "own issuer"])
def test_the_page_has_the_headers_of_the_local_studio(given: dict[str, str]) -> None:
    """But for the hosts that it has to call; CloudFront, "Quotas": 1783 signs of a header at most."""
    found = headers_of(stack(**given), {})
    for name, value in HEADERS.items():
        if name not in ("Content-Security-Policy", "Cache-Control"):  # the last is each file's own
            assert found[name] == value
    ours, local = directives(found["Content-Security-Policy"]), directives(PAGE_POLICY)
    assert set(ours) == set(local)
    more = {name: ours[name] - local[name] for name in ours}
    assert all(local[name] <= ours[name] for name in ours)
    bucket = "https://*.s3.eu-central-1.amazonaws.com"
    login = "https://splats-123456789012.auth.eu-central-1.amazoncognito.com"
    assert {name: hosts for name, hosts in more.items() if hosts} == {
        "img-src": {bucket},
        "media-src": {bucket},
        "connect-src": {
            bucket,
            "https://*.execute-api.eu-central-1.amazonaws.com",
            "https://id.example.org" if given else login,
        },
        "frame-src": {"https://*.cloudfront.net"},
    }
    assert len(found["Content-Security-Policy"]) < 1783
    own = stack(WebDomain="splats.example.org", WebCertificateArn="arn", **given)
    framed = directives(headers_of(own, {})["Content-Security-Policy"])["frame-src"]
    assert framed == {"'self'", "https://splats.example.org"}


def test_tokens_may_come_from_another_host_than_the_issuers() -> None:
    more = {"StudioLoginOrigins": "https://tokens.example.org https://back.example.org"}
    found = directives(headers_of(stack(**OWN, **more), {})["Content-Security-Policy"])
    assert {*more["StudioLoginOrigins"].split(), "https://id.example.org"} <= found["connect-src"]
    pattern = re.compile(PARAMETERS["StudioLoginOrigins"]["AllowedPattern"])
    assert pattern.search(more["StudioLoginOrigins"]) and pattern.search("")
    for wrong in ("http://a.org", "https://a.org; script-src *", "https://a.org/path", "*"):
        assert not pattern.search(wrong), wrong


def test_the_page_is_never_kept_and_its_parts_are() -> None:
    """CloudFront, "Use managed cache policies": CachingDisabled and CachingOptimized."""
    config = properties("StudioPage")["DistributionConfig"]
    assert config["DefaultCacheBehavior"]["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    (parts,) = config["CacheBehaviors"]
    assert parts["PathPattern"] == "studio/*"
    assert parts["CachePolicyId"] == "658327ea-f89d-4fab-a63d-7e88639e58f6"
    for behaviour in (parts, config["DefaultCacheBehavior"]):
        assert behaviour["ViewerProtocolPolicy"] == "redirect-to-https"
        assert behaviour["ResponseHeadersPolicyId"] == "StudioHeaders"
    assert config["Logging"]["Prefix"] == "studio/"
    quiet = properties("StudioPage", WebLogs="false")["DistributionConfig"]
    assert "Logging" not in quiet


def test_only_this_distribution_reads_the_pages_bucket() -> None:
    """CloudFront, "Restrict access to an Amazon S3 origin": an origin access control and its policy."""
    (origin,) = properties("StudioPage")["DistributionConfig"]["Origins"]
    assert origin["OriginAccessControlId"] == "StudioAccess.Id"
    (allowed,) = [
        one
        for one in properties("StudioFilesPolicy")["PolicyDocument"]["Statement"]
        if one["Effect"] == "Allow"
    ]
    assert allowed["Action"] == "s3:GetObject" and set(allowed["Principal"]) == {"Service"}
    (source,) = allowed["Condition"]["StringEquals"].values()
    assert source.endswith(":distribution/StudioPage")
    # No role of the stack writes there: what runs a stranger's photos cannot change the page.
    roles = [r for r in stack().resources.values() if r["Type"].startswith("AWS::IAM::")]
    assert "StudioFiles" not in json.dumps(roles)
    # S3, "Enabling Amazon S3 server access logging": where the logs' own policy lets them.
    logs = properties("AccessLogsPolicy")["PolicyDocument"]["Statement"][0]["Resource"]
    prefix = properties("StudioFiles")["LoggingConfiguration"]["LogFilePrefix"]
    assert f"AccessLogs.Arn/{prefix}".startswith(logs.removesuffix("*"))


def test_the_page_may_call_the_api_and_send_parts() -> None:
    """API Gateway, "Configure CORS for HTTP APIs"; S3, "Elements of a CORS configuration"."""
    own = "https://studio.example.org"
    for given, homes in [
        ({}, [HOME]),
        (
            {"AllowedOrigins": "https://a.org,https://b.org"},
            [HOME, "https://a.org", "https://b.org"],
        ),
        ({"StudioDomain": "studio.example.org", "StudioCertificateArn": "arn"}, [own]),
    ]:
        cors = properties("Api", **given)["CorsConfiguration"]
        assert cors["AllowOrigins"] == homes
        assert set(cors["AllowHeaders"]) == {"authorization", "content-type", "idempotency-key"}
        rules = properties("Bucket", **given)["CorsConfiguration"]["CorsRules"]
        (rule,) = [one for one in rules if one["AllowedOrigins"] == homes[:1]]
        assert rule["ExposedHeaders"] == ["ETag"] and "PUT" in rule["AllowedMethods"]
        assert rule["AllowedHeaders"] == ["content-type"] and len(rules) == len(homes[1:2]) + 1
    bare = evaluated(WHOLE, ApiCode="a", WorkflowCode="w").resources
    assert not any("CorsConfiguration" in bare[name]["Properties"] for name in ("Api", "Bucket"))


def test_people_sign_in_without_a_secret() -> None:
    """RFC 9700, 2.1: codes with PKCE alone. Cognito, "Refresh tokens": once each, by no other flow."""
    client = properties("StudioClient")
    assert client["GenerateSecret"] is False and client["AllowedOAuthFlows"] == ["code"]
    assert client["CallbackURLs"] == client["LogoutURLs"] == [f"{HOME}/"]
    assert client["RefreshTokenRotation"]["Feature"] == "ENABLED"
    assert "ALLOW_REFRESH_TOKEN_AUTH" not in client["ExplicitAuthFlows"]
    assert set(PARAMETERS["StudioScopes"]["Default"].split()) == set(client["AllowedOAuthScopes"])
    own = properties("StudioClient", StudioDomain="studio.example.org", StudioCertificateArn="arn")
    assert own["CallbackURLs"] == ["https://studio.example.org/"]
    users = properties("Users")
    assert users["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert users["DeletionProtection"] == "ACTIVE"
    assert WHOLE["Resources"]["Users"]["DeletionPolicy"] == "Retain"


def test_the_api_takes_the_tokens_of_the_studio() -> None:
    """API Gateway, "JWT authorizers": `aud`, or the `client_id` that an access token of Cognito has."""
    pool = "https://cognito-idp.eu-central-1.amazonaws.com/Users"
    wanted = {"Issuer": pool, "Audience": ["StudioClient"]}
    assert properties("ApiAuthorizer")["JwtConfiguration"] == wanted
    assert properties("GetRoute")["AuthorizationType"] == "JWT"
    outputs = {name: one["Value"] for name, one in stack().outputs.items()}
    assert (outputs["StudioIssuer"], outputs["StudioClient"]) == (pool, "StudioClient")
    assert outputs["Studio"] == HOME and outputs["StudioScopes"] == "openid email"
    made = stack(**OWN)
    authorizer = made.resources["ApiAuthorizer"]["Properties"]["JwtConfiguration"]
    assert authorizer == {"Issuer": OWN["JwtIssuer"], "Audience": ["api"]}
    assert made.outputs["StudioIssuer"]["Value"] == OWN["JwtIssuer"]
    assert made.outputs["StudioClient"]["Value"] == "page"
    assert not [n for n, r in made.resources.items() if r["Type"].startswith("AWS::Cognito")]


def test_the_domain_of_the_sign_in_is_one_that_cognito_takes() -> None:
    """Cognito, "Using the Amazon Cognito domain": 63 signs, one of each in a region."""
    domain = evaluated(WHOLE, stack=LONGEST_STACK, **ON).resources["UsersDomain"]["Properties"][
        "Domain"
    ]
    assert domain == f"{LONGEST_STACK}-123456789012" and len(domain) <= 63
    scopes = re.compile(PARAMETERS["StudioScopes"]["AllowedPattern"])
    assert scopes.search("openid email offline_access api://splats/run")
    assert not scopes.search("email") and not scopes.search('openid "x"')
