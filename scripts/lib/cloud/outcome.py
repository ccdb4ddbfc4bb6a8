"""How a run ended, read from Snakemake's last lines and what lies in the bucket; and the letter about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.lib.contracts.cost import Cost
from scripts.lib.contracts.published import Published
from scripts.lib.core.json_type import Json

CAUSE = "Cause: "  # as the executor plugin begins the line
SHOWN = 25  # lines of the log in a letter


@dataclass(frozen=True)
class Outcome:
    """`state` is done, failed or stopped. `trouble` are failures that left the model alone."""

    state: str
    cause: str = ""
    lines: tuple[str, ...] = ()
    url: str = ""
    usd: float | None = None
    trouble: tuple[str, ...] = ()

    def as_json(self, more_trouble: Sequence[str] = ()) -> dict[str, Json]:
        """outcome.json."""
        return {
            "state": self.state,
            "cause": self.cause or None,
            "url": self.url or None,
            "usd": self.usd,
            "trouble": [*self.trouble, *more_trouble],
            "log": list(self.lines),
        }


def cause_of(lines: Sequence[str]) -> str:
    """The reason that a failed run gives: the executor's first `Cause:`, or Snakemake's own error."""
    for line in lines:
        if CAUSE in line:
            return line[line.index(CAUSE) + len(CAUSE) :].strip()
    for number, line in enumerate(lines):
        if "WorkflowError" in line or "Exception" in line:
            following = [text.strip() for text in lines[number + 1 : number + 3] if text.strip()]
            return " ".join([line.strip(), *following])
    return "unknown; the log's last lines may tell"


def outcome_of(
    code: int,
    lines: Sequence[str],
    *,
    manifest: Mapping[str, Json] | None,
    published: Published | None,
    cost: Cost | None,
    stopped: bool,
) -> Outcome:
    """What became of a run whose Snakemake ended with `code` and left these files (None: not there).

    With the page's manifest in the bucket the run is done: a report or a publication that failed is trouble.
    """
    usd = cost.usd if cost else None
    url = published.url if published else ""
    tail = tuple(lines[-SHOWN:])
    if code == 0:
        return Outcome("done", url=url, usd=usd)
    if stopped:
        return Outcome("stopped")
    if manifest is not None:
        return Outcome("done", url=url, usd=usd, lines=tail, trouble=(cause_of(lines),))
    return Outcome("failed", cause_of(lines), tail, usd=usd)


def letter(job: str, scene: str, outcome: Outcome) -> tuple[str, str]:
    """(subject, text) of the mail about a run."""
    subject = f"splatmake: {scene} is {outcome.state}"
    lines = [f"Run {job}, scene {scene}: {outcome.state}."]
    if outcome.cause:
        lines += ["", f"Cause: {outcome.cause}"]
    if outcome.url:
        lines += ["", f"The page: {outcome.url}"]
    if outcome.usd is not None:
        lines.append(f"It cost ${outcome.usd:.2f}.")
    for trouble in outcome.trouble:
        lines += ["", f"The model is there, but not everything around it: {trouble}"]
    if outcome.lines:
        lines += ["", "The last lines of the log:", *(f"    {line}" for line in outcome.lines)]
    return subject, "\n".join(lines) + "\n"
