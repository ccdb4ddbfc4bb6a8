"""The executor on a small workflow: what each job is given, and what happens when things go wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.aws.cloud import Cloud
from tests.aws.submitter import Submitter

Make = Callable[..., Submitter]


def test_each_rule_gets_what_it_asks_for(cloud: Cloud, submitter: Make) -> None:
    run = submitter()
    result = run.run()
    assert result.returncode == 0, result.stdout
    assert Counter(e.rule for e in cloud.executions) == {"first": 2, "middle": 2, "last": 2}
