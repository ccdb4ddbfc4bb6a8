"""The API server of the small Kubernetes: the requests that a run makes, with the rights that it has."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.engines.kubernetes import Cluster, decoded, described, tended
from tests.engines.kubernetes_rules import faults

TOKEN = "the-submitters-token"
PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>batch)/v1)/namespaces/(?P<space>[^/]+)"
    r"/(?P<kind>[a-z]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[a-z]+))?)?"
)


class RefusedError(Exception):
    """An answer that is no success: its status and message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class Api:
    """Answers requests about a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def answer(self, method: str, url: str, token: str, body: dict[str, Any]) -> Any:
        """JSON, or text for a log. Raises RefusedError."""
        address = urlsplit(url)
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        found = PATH.fullmatch(address.path)
        if token != f"Bearer {TOKEN}":
            raise RefusedError(401, "Unauthorized", "Unauthorized")
        if found is None:
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")
        verb = {"POST": "create", "GET": "get" if found["name"] else "list"}.get(
            method, "delete" if found["name"] else "deletecollection"
        )
        resource = "/".join(part for part in (found["kind"], found["sub"]) if part)
        rules = self.cluster.rules
        allowed = (verb, found["group"] or "", resource) in rules.rights
        if found["space"] != rules.namespace or not allowed:
            raise RefusedError(403, "Forbidden", f"{resource} is forbidden: cannot {verb} resource")
        act = getattr(self, f"{verb}_{resource.replace('/', '_')}")
        with self.cluster.lock:
            return act(found["name"], query, body)

    def create_secrets(self, _: str, query: dict[str, str], body: dict[str, Any]) -> Any:
        self.cluster.secrets[body["metadata"]["name"]] = decoded(body)
        return body

    def delete_secrets(self, name: str, *_: Any) -> Any:
        if self.cluster.secrets.pop(name, None) is None:
            raise RefusedError(404, "NotFound", f'secrets "{name}" not found')
        return {"status": "Success"}

    def create_jobs(self, _: str, query: dict[str, str], body: dict[str, Any]) -> Any:
        name = body["metadata"]["name"]
        if name in self.cluster.jobs:
            raise RefusedError(409, "AlreadyExists", f'jobs.batch "{name}" already exists')
        if wrong := list(faults(body, self.cluster.rules)):
            raise RefusedError(422, "Invalid", f'Job.batch "{name}" is invalid: {"; ".join(wrong)}')
        self.cluster.jobs[name] = {**body, "status": {}}
        self.cluster.add_pod(name)
        return self.cluster.jobs[name]

    def get_jobs_status(self, name: str, *_: Any) -> Any:
        if name not in self.cluster.jobs:
            raise RefusedError(404, "NotFound", f'jobs.batch "{name}" not found')
        return self.cluster.jobs[name]

    def delete_jobs(self, name: str, *_: Any) -> Any:
        if name not in self.cluster.jobs:
            raise RefusedError(404, "NotFound", f'jobs.batch "{name}" not found')
        self.cluster.remove(name)
        return {"status": "Success"}

    def deletecollection_jobs(self, _: str, query: dict[str, str], body: Any) -> Any:
        key, _, value = query["labelSelector"].partition("=")
        for name, job in list(self.cluster.jobs.items()):
            if job["metadata"]["labels"].get(key) == value:
                self.cluster.remove(name)
        return {"status": "Success"}

    def list_pods(self, _: str, query: dict[str, str], body: Any) -> Any:
        key, _, value = query["labelSelector"].partition("=")
        pods = [
            described(pod, self.cluster.rules.namespace)
            for pod in self.cluster.pods
            if pod.name in self.cluster.present
        ]
        return {"items": [pod for pod in pods if pod["metadata"]["labels"].get(key) == value]}

    def delete_pods(self, name: str, *_: Any) -> Any:
        for pod in self.cluster.pods:
            if pod.name == name and name in self.cluster.present:
                pod.kill()
                self.cluster.present.discard(name)
                return described(pod, self.cluster.rules.namespace)
        raise RefusedError(404, "NotFound", f'pods "{name}" not found')

    def get_pods_log(self, name: str, query: dict[str, str], body: Any) -> Any:
        if query.get("previous", "").lower() == "true":  # its container never started again
            what = f'previous terminated container "{query["container"]}" in pod "{name}" not found'
            raise RefusedError(400, "BadRequest", what)
        return (self.cluster.folder / f"{name}.log").read_text(errors="replace")


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            status, kind = 200, "application/json"
            try:
                with api.cluster.lock:
                    if api.cluster.unavailable:
                        api.cluster.unavailable -= 1
                        raise RefusedError(503, "ServiceUnavailable", "etcdserver: leader changed")
                token = self.headers.get("Authorization", "")
                answer = api.answer(self.command, self.path, token, body)
            except RefusedError as error:
                status = error.status
                answer = {"kind": "Status", "reason": error.reason, "message": str(error)}
            if isinstance(answer, str):
                kind, data = "text/plain", answer.encode()
            else:
                data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Nothing on the terminal."""

    return Handler


def kubeconfig(path: Path, url: str, namespace: str) -> None:
    """How kubectl and its like find the cluster."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "small",
        "clusters": [{"name": "small", "cluster": {"server": url}}],
        "users": [{"name": "submitter", "user": {"token": TOKEN}}],
        "contexts": [
            {
                "name": "small",
                "context": {"cluster": "small", "user": "submitter", "namespace": namespace},
            }
        ],
    }
    path.write_text(yaml.safe_dump(config))


@contextlib.contextmanager
def running_kubernetes(folder: Path) -> Iterator[Cluster]:
    """An empty cluster with the accounts of access.yaml; `folder`/kubeconfig leads to it."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(Api(cluster)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    kubeconfig(
        folder / "kubeconfig",
        f"http://127.0.0.1:{server.server_address[1]}",
        cluster.rules.namespace,
    )
    try:
        with tended(cluster):
            yield cluster
    finally:
        server.shutdown()
        server.server_close()
