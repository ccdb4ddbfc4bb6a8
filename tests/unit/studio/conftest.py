"""A studio in a folder of its own, served on loopback, with a stand-in for Snakemake."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from scripts.lib.studio.app import make_app
from scripts.lib.studio.guard import LOOPBACK, Guard
from scripts.lib.studio.home import opened
from scripts.lib.studio.store import Store
from scripts.lib.studio.studio import Studio
from scripts.lib.studio.worker import Worker

SECRET = b"0123456789abcdef"
STAND_IN = Path(__file__).with_name("stand_in.py")
SECONDS = 30


@dataclass
class Served:
    """A studio and its address."""

    studio: Studio
    url: str
    headers: dict[str, str] = field(default_factory=dict)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """(status, answer) of a call; JSON where it is some."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        url = path if path.startswith("http") else self.url + path
        more = {**self.headers, **(headers or {})}
        request = urllib.request.Request(url, data, more, method=method)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                code, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            code, text = error.code, error.read()
        try:
            return code, json.loads(text)
        except ValueError:
            return code, text

    def uploaded(self, data: bytes = b"PK-zip", name: str = "yard.zip", key: str = "") -> str:
        """The source of a finished upload."""
        headers = {"Idempotency-Key": key} if key else {}
        _, told = self.call("POST", "/uploads", {"name": name, "bytes": len(data)}, headers)
        for part in told["parts"]:
            start = (part["number"] - 1) * told["part_bytes"]
            assert self.call("PUT", part["url"], data[start : start + part["bytes"]])[0] == 200
        code, done = self.call("POST", f"/uploads/{told['id']}/complete")
        assert code == 200 and done["state"] == "done"
        return str(done["source"])

    def submitted(self, scene: str = "yard", **options: Any) -> str:
        """The id of a run of a new upload."""
        body = {"scenes": [{"scene": scene, "source": self.uploaded()}], **options}
        code, told = self.call("POST", "/jobs", body)
        assert code == 202, told
        return str(told["id"])

    def until(self, job: str, *states: str) -> dict[str, Any]:
        """The status of a run once it is in one of `states`."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            told: dict[str, Any] = self.call("GET", f"/jobs/{job}")[1]
            if told["state"] in states:
                return told
            time.sleep(0.05)
        raise AssertionError(f"{job} is {told}")


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A studio without a server."""
    with opened(tmp_path / "home ü") as home:
        store = Store(home.database)
        yield Studio(home, store, SECRET)
        store.close()


class Serving:
    """`serving(studio)` serves it, at `port` if given; `stop()` ends all servers."""

    def __init__(self) -> None:
        self.running: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []
        self.studios: list[Studio] = []

    def __call__(self, studio: Studio, port: int = 0) -> Served:
        listening = socket.create_server(("127.0.0.1", port))
        app: Any = make_app(studio, Guard(studio, frozenset(LOOPBACK)))
        config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        self.running.append((server, thread, listening))
        self.studios.append(studio)
        return Served(studio, f"http://127.0.0.1:{listening.getsockname()[1]}")

    def stop(self) -> None:
        for studio in self.studios:
            studio.ending.set()
        for server, thread, listening in self.running:
            server.should_exit = True
            thread.join()
            listening.close()
        self.running.clear()
        for studio in self.studios:
            studio.ending.clear()  # it may be served again


@pytest.fixture
def serve() -> Iterator[Serving]:
    """Servers that end with the test."""
    serving = Serving()
    yield serving
    serving.stop()


@pytest.fixture
def served(studio: Studio, serve: Serving) -> Served:
    """A studio without a worker: its runs wait."""
    return serve(studio)


@pytest.fixture
def work() -> Iterator[Callable[..., Worker]]:
    """`work(studio)` starts a worker whose Snakemake is the stand-in."""
    begun: list[Worker] = []

    def begin(studio: Studio, at_once: int = 1) -> Worker:
        worker = Worker(studio, at_once, "2", (sys.executable, str(STAND_IN)))
        worker.start()
        begun.append(worker)
        return worker

    yield begin
    for worker in begun:
        worker.stop()
