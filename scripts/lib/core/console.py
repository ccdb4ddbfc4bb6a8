"""What a person sees: one clear sentence on failure, progress with a computed ETA while it runs."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO, TypeVar

from scripts.lib.core import faults

Made = TypeVar("Made")


OUT_OF_MEMORY_CODE = 137  # 128 + SIGKILL


class UserError(Exception):
    """A mistake the user can mend. The message is one sentence: what, where, what to do."""


def sentence_of(error: BaseException) -> str | None:
    """What to tell of a user's mistake or a fault of the machine, such as a full disk; None for all else."""
    return str(error) if isinstance(error, UserError) else faults.sentence(error)


def told_or_made(
    tell: Callable[[str], None], function: Callable[..., Made], *arguments: Any
) -> Made:
    """What `function` makes of `arguments`; its mistakes and faults go to `tell`, and end the program.

    Memory that does not suffice ends it with code 137, as when the kernel kills a program for it.
    """
    try:
        return function(*arguments)
    except (UserError, OSError, MemoryError, RuntimeError) as error:
        told = sentence_of(error)
        if told is None:
            raise
        code = OUT_OF_MEMORY_CODE if faults.is_out_of_memory(error) else 1
    tell(told)
    raise SystemExit(code)


def run_main(main: Callable[[], None]) -> None:
    """Run a script's `main`; print a `UserError` as one clear line and exit 1, without a traceback.

    So are faults of the machine told: a full disk, missing rights, a network share that went away.
    """

    def tell(sentence: str) -> None:
        with suppress(OSError):  # the log may lie on the disk that is full
            sys.stdout.flush()
        with suppress(OSError):
            print(printable(f"Error: {sentence}"), file=sys.stderr, flush=True)

    told_or_made(tell, main)


# What Python puts for bytes of a file name that are not UTF-8, and halves of pairs out of JSON or a zip.
SURROGATES = re.compile("[\ud800-\udfff]")
ESCAPED_BYTE = 0xDC00


def printable(text: str) -> str:
    r"""`text` as any terminal or file takes it: a name that is not UTF-8 shows its bytes, Stra\xdfe.jpg."""

    def escape(found: re.Match[str]) -> str:
        number = ord(found[0])
        byte = number - ESCAPED_BYTE
        return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else f"\\u{number:04x}"

    return SURROGATES.sub(escape, text)


CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def one_line(text: str) -> str:
    r"""`text` with file names in it: their line breaks and terminal commands show as \x0a and the like."""
    return CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def say(message: str) -> None:
    """Print one line at once: the log is followed live through `tee` or CloudWatch."""
    print(printable(message), flush=True)


def duration(seconds: float) -> str:
    """Human form of a number of seconds: `8 s`, `3 min 05 s`, `2 h 07 min`."""
    whole = int(round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Progress of `total` steps: a live line on a terminal, a plain line every few seconds in a log.

    The ETA extrapolates the pace since `start`, so it is computed from this run, never a constant.
    """

    def __init__(
        self,
        label: str,
        total: int,
        *,
        start: int = 0,
        every: float = 5.0,
        stream: TextIO | None = None,
    ) -> None:
        self.label, self.total, self.start, self.every = label, total, start, every
        self.stream = stream or sys.stdout
        self.began = time.monotonic()
        self.last = self.began
        self.live = self.stream.isatty()

    def update(self, done: int, note: str = "") -> None:
        """Tell that `done` of `total` steps are finished; prints only when a line is due."""
        now = time.monotonic()
        interval = 0.2 if self.live else self.every
        if now - self.last < interval and done < self.total:
            return
        self.last = now
        fresh = done - self.start
        pace = (now - self.began) / fresh if fresh > 0 else 0.0
        left = pace * (self.total - done)
        percent = 100 * done / max(self.total, 1)
        tail = f", {duration(left)} left" if done < self.total and fresh > 0 else ""
        line = f"{self.label}: {done}/{self.total} ({percent:.0f} %){tail}"
        line += f", {note}" if note else ""
        if self.live:
            end = "\n" if done >= self.total else ""
            print(f"\r\x1b[2K{line}", end=end, file=self.stream, flush=True)
        else:
            print(line, file=self.stream, flush=True)
