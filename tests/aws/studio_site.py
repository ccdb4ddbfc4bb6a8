"""What surrounds the studio's page in the cloud: CloudFront, API Gateway and S3 as the stack sets them up.

Each is a server of its own with an origin of its own; what browsers may call is read from the template.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from tests.aws import gateway
from tests.aws.cloud import REGION, Cloud
from tests.aws.evaluate import Evaluated, evaluated
from tests.aws.issuer import Issuer
from tests.aws.template import WHOLE

FILES = "studio-files"  # the bucket of the page
App = Callable[..., Any]
ON = {"ApiCode": "a", "WorkflowCode": "w", "Studio": "true"}


def stack(**given: str) -> Evaluated:
    """The stack with a studio."""
    return evaluated(WHOLE, **ON, **given)


@dataclass
class Site:
    """Addresses, and what was asked of them. `fails` answers the n-th PUT of a part, by its number, once."""

    home: str = ""
    api: str = ""
    storage: str = ""
    pages: str = ""
    policy: str = ""
    puts: Counter[int] = field(default_factory=Counter)
    fails: dict[int, int] = field(default_factory=dict)  # {part: HTTP status}
    down: bool = False  # the API
    forbids: bool = False  # the API, as API Gateway does without the right scope
    bare: bool = False  # its answer to a bad token: no browser may read it
    complaints: list[str] = field(default_factory=list)

    def reset(self) -> None:
        """Forget what was asked, and answer as usual."""
        self.puts, self.fails, self.complaints = Counter(), {}, []
        self.down = self.forbids = self.bare = False


@contextlib.contextmanager
def _serving(application: App) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()


def with_cors(app: App, site: Site, rules: list[dict[str, Any]]) -> App:
    """CORS by rules as S3 has them (Fetch, "CORS protocol"; S3, "Elements of a CORS configuration")."""

    def rule_for(origin: str, method: str) -> dict[str, Any] | None:
        found = (
            r for r in rules if origin in r["AllowedOrigins"] and method in r["AllowedMethods"]
        )
        return next(found, None)

    def serve(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        request = Request(environ)
        origin = request.headers.get("Origin", "")
        if request.method == "OPTIONS":
            wanted = request.headers.get("Access-Control-Request-Headers", "")
            rule = rule_for(origin, request.headers.get("Access-Control-Request-Method", ""))
            names = {name.strip().lower() for name in wanted.split(",") if name.strip()}
            allowed = {name.lower() for name in rule["AllowedHeaders"]} if rule else set()
            if rule is None or not ("*" in allowed or names <= allowed):
                return Response("CORSResponse", 403)(environ, start)
            told = {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": ", ".join(rule["AllowedMethods"]),
                "Access-Control-Allow-Headers": wanted,
            }
            return Response(status=200, headers=told)(environ, start)
        rule = rule_for(origin, request.method)

        def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            kept = [h for h in headers if not h[0].lower().startswith("access-control-")]
            if rule and not environ.get("studio.bare"):
                kept.append(("Access-Control-Allow-Origin", origin))
                exposed = ", ".join(rule.get("ExposedHeaders", []))
                kept += [("Access-Control-Expose-Headers", exposed)] if exposed else []
            return start(status, kept, *more)

        return app(environ, begin)

    return serve


def _storage(site: Site, rules: list[dict[str, Any]]) -> App:
    """S3 of moto, where a part may fail; it must never see a token."""
    inner = DomainDispatcherApplication(create_backend_app)

    def serve(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        request = Request(environ)
        if "Bearer" in request.headers.get("Authorization", ""):
            site.complaints.append(f"S3 was given a token: {request.url}")
        number = request.args.get("partNumber", 0, type=int)
        if request.method == "PUT" and number:
            site.puts[number] += 1
            if status := site.fails.pop(number, 0):
                request.get_data()
                return Response("<Error><Code>SlowDown</Code></Error>", status)(environ, start)
        return inner(environ, start)

    return with_cors(serve, site, rules)


def _api(site: Site, issuer: Issuer, cors: dict[str, Any]) -> App:
    """The API behind API Gateway with the stack's authoriser and CORS."""
    rule = {
        "AllowedOrigins": cors["AllowOrigins"],
        "AllowedMethods": cors["AllowMethods"],
        "AllowedHeaders": cors["AllowHeaders"],
    }

    def serve(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        if site.down:
            return Response('{"message":"Service Unavailable"}', 503)(environ, start)
        if not issuer.caller(environ.get("HTTP_AUTHORIZATION", "")):
            environ["studio.bare"] = site.bare
            return Response('{"message":"Unauthorized"}', 401)(environ, start)
        if site.forbids:
            return Response('{"message":"Forbidden"}', 403)(environ, start)
        return gateway.application(environ, start, issuer.caller)

    return with_cors(serve, site, [rule])


def _page(site: Site, cloud: Cloud, headers: dict[str, str]) -> App:
    """CloudFront with a bucket behind it, and the stack's headers; /pages/ is where scenes are published."""

    @Request.application
    def serve(request: Request) -> Response:
        s3 = cloud.client("s3")
        name = request.path.lstrip("/") or "index.html"
        try:
            found = s3.get_object(Bucket=FILES, Key=name)
        except s3.exceptions.NoSuchKey:
            return Response("<Error><Code>AccessDenied</Code></Error>", 403)
        answer = Response(found["Body"].read(), headers=headers, content_type=found["ContentType"])
        answer.headers["Cache-Control"] = found["CacheControl"]
        return answer

    return serve


def _scenes(request: Request) -> Response:
    return Response(
        "<!doctype html><title>The yard</title><h1>Published</h1>", mimetype="text/html"
    )


def headers_of(made: Evaluated, hosts: dict[str, str]) -> dict[str, str]:
    """The headers of the stack's policy, with other hosts in place of AWS's."""
    said = made.resources["StudioHeaders"]["Properties"]["ResponseHeadersPolicyConfig"]
    found = {one["Header"]: one["Value"] for one in said["CustomHeadersConfig"]["Items"]}
    security = said["SecurityHeadersConfig"]
    policy = str(security["ContentSecurityPolicy"]["ContentSecurityPolicy"])
    for host, other in hosts.items():
        assert host in policy, host
        policy = policy.replace(host, other)
    found["Content-Security-Policy"] = policy
    found["Referrer-Policy"] = security["ReferrerPolicy"]["ReferrerPolicy"]
    found["X-Content-Type-Options"] = "nosniff"
    return found


@contextlib.contextmanager
def running_site(cloud: Cloud, issuer: Issuer) -> Iterator[Site]:
    """All of it, before the page is put into its bucket."""
    site, made = Site(), stack(JwtIssuer=issuer.address, JwtAudience="c", StudioClientId="c")
    settings: dict[str, Any] = {}
    # CloudFront's address is known before the others: they name it.
    later: dict[str, App] = {}
    with contextlib.ExitStack() as open_ones:

        def serve(name: str) -> str:
            return open_ones.enter_context(_serving(lambda *all: later[name](*all)))

        site.home, site.api, site.storage = serve("page"), serve("api"), serve("storage")
        site.pages = open_ones.enter_context(_serving(Request.application(_scenes)))
        own = "https://StudioPage.DomainName"
        cors = made.resources["Api"]["Properties"]["CorsConfiguration"]
        assert cors["AllowOrigins"] == [own]
        later["api"] = _api(site, issuer, cors | {"AllowOrigins": [site.home]})
        rules = made.resources["Bucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
        swapped = [r | {"AllowedOrigins": [site.home]} for r in rules if own in r["AllowedOrigins"]]
        later["storage"] = _storage(site, swapped)
        region, suffix = "eu-central-1", "amazonaws.com"
        hosts = {
            f"https://*.s3.{region}.{suffix}": site.storage,
            f"https://*.execute-api.{region}.{suffix}": site.api,
            "https://*.cloudfront.net": site.pages,
            f"https://{issuer.address.removeprefix('http://')}": issuer.address,
        }
        headers = headers_of(made, hosts)
        site.policy = headers["Content-Security-Policy"]
        later["page"] = _page(site, cloud, headers)
        settings |= {"LocationConstraint": REGION}
        cloud.client("s3").create_bucket(Bucket=FILES, CreateBucketConfiguration=settings)
        issuer.homes = {f"{site.home}/"}
        try:
            yield site
        finally:
            s3 = cloud.client("s3")
            for item in s3.list_objects_v2(Bucket=FILES).get("Contents", []):
                s3.delete_object(Bucket=FILES, Key=item["Key"])
            s3.delete_bucket(Bucket=FILES)
