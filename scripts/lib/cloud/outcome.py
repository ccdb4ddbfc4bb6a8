"""How a run ended, read from Snakemake's last lines and what lies in the bucket; and the letter about it."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.lib.contracts.cost import Cost
from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.published import Published

CAUSE = "Cause: "  # as the executor plugin begins the line
SHOWN = 25  # lines of the log in a letter


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
    page: bool,
    published: Published | None,
    cost: Cost | None,
    stopped: bool,
) -> Outcome:
    """What became of a run whose Snakemake ended with `code` and left these files (None: not there).

    `page`: its manifest is in the bucket, so the run is done: a report or a publication that failed is
    trouble.
    """
    usd = cost.usd if cost else None
    url = published.url if published else None
    tail = tuple(lines[-SHOWN:])
    if code == 0:
        return Outcome(state="done", url=url, usd=usd)
    if stopped:
        return Outcome(state="stopped")
    if page:
        return Outcome(state="done", url=url, usd=usd, log=tail, trouble=(cause_of(lines),))
    return Outcome(state="failed", cause=cause_of(lines), log=tail, usd=usd)


def letter(job: str, scene: str, outcome: Outcome, *, log: bool) -> tuple[str, str]:
    """(subject, text) of the mail about a run; `log`: with the log's last lines, for the operator."""
    subject = f"splatmake: {scene} is {outcome.state}"
    lines = [f"Run {job}, scene {scene}: {outcome.state}."]
    if outcome.cause:
        lines += ["", f"Cause: {outcome.cause}"]
    if outcome.url:
        lines += ["", f"The page: {outcome.url}"]
    if outcome.usd is not None:
        whole = outcome.usd + (outcome.coordinator_usd or 0.0)
        lines.append(f"It cost ${whole:.2f}.")
    for trouble in outcome.trouble:
        lines += ["", f"The model is there, but not everything around it: {trouble}"]
    if log and outcome.log:
        lines += ["", "The last lines of the log:", *(f"    {line}" for line in outcome.log)]
    return subject, "\n".join(lines) + "\n"
