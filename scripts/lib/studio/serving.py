"""The studio's server: on loopback for one person, or in a network for those who have its token."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import secrets
import signal
import socket
import threading
import time
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from scripts.lib.core.console import UserError, say
from scripts.lib.core.files import write_bytes
from scripts.lib.studio.detector import detector_of
from scripts.lib.studio.guard import LOOPBACK, Guard
from scripts.lib.studio.home import Home, opened
from scripts.lib.studio.store import Store
from scripts.lib.studio.studio import Studio
from scripts.lib.studio.uploads import forget_unused
from scripts.lib.studio.worker import Worker

LEAST_TOKEN = 16  # characters
TOKEN = "SPLATMAKE_STUDIO_TOKEN"
QUEUE = 128  # connections that wait to be accepted
INSTALL = "the studio needs two more packages; run `pip install -r envs/studio.txt`"


@dataclass(frozen=True)
class Asked:
    """What the command line asks for. `names`: other names of this machine, such as studio.example.org."""

    home: Path
    host: str = "127.0.0.1"
    port: int = 8765
    names: tuple[str, ...] = ()
    at_once: int = 1
    cores: str = "all"
    browser: bool = True
    detector: str = ""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_for(asked: Asked, home: Home) -> str:
    """Empty on loopback; else the environment's, or one of the studio's own that stays the same.

    Raises UserError when the environment's is too short to be safe.
    """
    given = os.environ.get(TOKEN, "")
    if given and (len(given) < LEAST_TOKEN or not given.isascii() or not given.isprintable()):
        raise UserError(f"{TOKEN} must have at least {LEAST_TOKEN} plain letters, digits or signs")
    if given or is_loopback(asked.host):
        return given
    path = home.path / "token"
    if not path.is_file():
        write_bytes(path, secrets.token_urlsafe(24).encode())
        path.chmod(0o600)
    return path.read_text(encoding="ascii").strip()


def guard_for(asked: Asked, studio: Studio) -> Guard:
    """Which names the server answers to."""
    own = socket.gethostname().lower()
    local = is_loopback(asked.host)
    network = () if local else (own, f"{own}.local", asked.host.lower())
    names = frozenset((*LOOPBACK, *network, *(name.lower() for name in asked.names)))
    return Guard(studio, names, numbers=not local)


def bound(asked: Asked) -> socket.socket:
    """A socket on the asked address, port 0 for a free one. Raises UserError when it cannot be had."""
    family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((asked.host, asked.port))
    except (OSError, OverflowError) as error:
        made.close()
        taken = getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EACCES)
        hint = "--port" if taken or isinstance(error, OverflowError) else "--host"
        raise UserError(
            f"cannot listen on {asked.host} port {asked.port} ({error}); try another {hint}"
        ) from None
    made.listen(QUEUE)
    return made


def address_of(asked: Asked, port: int) -> str:
    """What to type into a browser."""
    everywhere = asked.host in ("0.0.0.0", "::")
    host = socket.gethostname() if everywhere else asked.host
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def serve(asked: Asked) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises UserError when that cannot begin."""
    try:
        import uvicorn

        from scripts.lib.studio.app import make_app
    except ModuleNotFoundError:
        raise UserError(INSTALL) from None
    if asked.cores != "all" and not re.fullmatch("[1-9][0-9]{0,3}", asked.cores):
        raise UserError(f"--cores is {asked.cores!r}; give a number of processors, or all")
    detector = detector_of(asked.detector)
    with opened(asked.home) as home, bound(asked) as listening:
        token = token_for(asked, home)
        studio = Studio(home, Store(home.database), secrets.token_bytes(32), token, detector)
        if count := forget_unused(studio, time.time()):
            say(f"{count} uploads that were never finished or used are deleted")
        worker = Worker(studio, asked.at_once, asked.cores)
        app: Any = make_app(studio, guard_for(asked, studio))
        config = uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
        address = address_of(asked, listening.getsockname()[1])
        entry = f"{address}#token={studio.token}" if studio.token else address
        say(f"The studio is at {entry} (Ctrl-C stops it)\nIts scenes lie in {home.path}")
        # The server hands a signal on when it has ended; SIGTERM is to end us as Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        worker.start()
        if asked.browser:
            threading.Thread(target=webbrowser.open, args=(entry,), daemon=True).start()
        server = uvicorn.Server(config)
        told = server.handle_exit

        def end(sig: int, frame: FrameType | None) -> None:
            studio.ending.set()
            told(sig, frame)

        server.handle_exit = end  # type: ignore[method-assign]
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:
            pass
        finally:
            left = worker.stop()
            studio.store.close()
            say(
                f"stopped; {left} {'run goes' if left == 1 else 'runs go'} on at the next start"
                if left
                else "stopped"
            )
