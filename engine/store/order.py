"""In which order queued jobs are started: fair between owners, and as each owner wants."""

import heapq
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count, groupby
from typing import Protocol, TypeVar


class Waiting(Protocol):
    """What the order depends on."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def rank(self) -> float: ...


AnyWaiting = TypeVar("AnyWaiting", bound=Waiting)


def in_order(live: Collection[AnyWaiting], last_started: Mapping[str, float]) -> list[AnyWaiting]:
    """The queued ones of some live jobs in the order in which they would be started.

    A higher priority goes first. Within one, the next job is that of the owner with the fewest
    jobs running or called so far, of several the one who has waited longest since a job of theirs
    was started; each owner's own jobs keep their ranks. So nobody waits for all of somebody
    else's jobs.

    Args:
        last_started: when a job of an owner was last started, in Unix seconds; owners of none may
            be absent.
    """
    num_called = Counter(job.actor for job in live if job.status == "running")
    last_called = dict(last_started)
    turns = count(max(last_started.values(), default=0.0) + 1)
    queued = [job for job in live if job.status == "queued"]
    queued.sort(key=lambda job: (-job.priority, job.rank, job.id))
    ordered: list[AnyWaiting] = []
    for _priority, group in groupby(queued, key=lambda job: job.priority):
        ordered += _in_turn(list(group), num_called, last_called, turns)
    return ordered


def _in_turn(
    jobs: Sequence[AnyWaiting],
    num_called: Counter[str],
    last_called: dict[str, float],
    turns: Iterator[float],
) -> list[AnyWaiting]:
    """Jobs of one priority, sorted by rank; whoever is called has been started from then on."""
    lines: dict[str, list[AnyWaiting]] = {}
    for job in reversed(jobs):
        lines.setdefault(job.actor, []).append(job)
    heads = [
        (num_called[actor], last_called.get(actor, 0.0), line[-1].rank, actor)
        for actor, line in lines.items()
    ]
    heapq.heapify(heads)
    ordered = []
    while heads:
        called, _called_last, _rank, actor = heads[0]
        ordered.append(lines[actor].pop())
        num_called[actor], last_called[actor] = called + 1, next(turns)
        if lines[actor]:
            again = (called + 1, last_called[actor], lines[actor][-1].rank, actor)
            heapq.heapreplace(heads, again)
        else:
            heapq.heappop(heads)
    return ordered
