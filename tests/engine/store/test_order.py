"""The order of the queue: fair between owners, and as each owner wants."""

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.store import attempts, jobs, schema
from engine.store.database import open_database
from engine.store.jobs import JobKind
from engine.store.order import in_order

KINDS = get_args(JobKind)


@dataclass(frozen=True)
class Waiting:
    id: str
    actor: str
    rank: float = 0.0
    priority: int = 0
    status: str = "queued"
    kind: str = "train"


def names(*live, **last_started):
    return [job.id for job in in_order(live, last_started)]


def line(actor, count, **options):
    return [Waiting(f"{actor}{number}", actor, number, **options) for number in range(count)]


def test_nobody_waits_for_all_of_somebody_elses_jobs():
    assert names(*line("a", 100), Waiting("b", "b", 1000.0))[:3] == ["a0", "b", "a1"]


def test_whoever_has_nothing_running_comes_first():
    running = Waiting("a", "a", status="running")
    assert names(running, *line("a", 3), *line("b", 3)) == ["b0", "a0", "b1", "a1", "b2", "a2"]


def test_whoever_had_a_turn_last_comes_last_also_when_nothing_runs():
    live = [*line("a", 3), *line("b", 1)]
    assert names(*live, a=100.0) == ["b0", "a0", "a1", "a2"]
    assert names(*live, a=100.0, b=200.0) == ["a0", "b0", "a1", "a2"]


def test_owners_take_turns():
    live = [*line("a", 3), *line("b", 1), *line("c", 2)]
    assert names(*live, c=1.0, a=2.0, b=3.0) == ["c0", "a0", "b0", "c1", "a1", "a2"]


def test_whoever_is_called_first_has_had_a_turn():
    # b is called first, as nothing of b's runs. Then both have one job, and b's is the newer.
    live = [Waiting("r", "a", status="running"), *line("a", 2), *line("b", 2)]
    assert names(*live, a=50.0, b=40.0) == ["b0", "a0", "b1", "a1"]


def test_higher_priority_goes_first_whoever_owns_it():
    urgent = [Waiting("a9", "a", 9.0, priority=1), Waiting("a8", "a", 8.0, priority=2)]
    assert names(*line("a", 2), *line("b", 2), *urgent, a=100.0) == [
        "a8", "a9", "b0", "b1", "a0", "a1",
    ]  # fmt: skip


def test_own_jobs_keep_their_ranks():
    shuffled = [Waiting("x", "a", 3.0), Waiting("y", "a", 1.0), Waiting("z", "a", 2.0)]
    assert names(*shuffled) == ["y", "z", "x"]


def test_running_jobs_are_not_in_the_queue():
    assert names(Waiting("r", "a", status="running")) == []
    assert names() == []


def test_order_does_not_depend_on_how_rows_happen_to_come():
    live = [*line("a", 2), *line("b", 2), Waiting("c", "c", priority=1)]
    orders = {tuple(names(*each)) for each in itertools.permutations(live)}
    assert len(orders) == 1


STATUSES = st.sampled_from(["queued", "queued", "queued", "running", "completed"])
HOMES = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        STATUSES,
        st.integers(0, 2),
        st.integers(0, 5),
        st.one_of(st.none(), st.integers(0, 9)),
        st.sampled_from(KINDS),
    ),
    max_size=14,
)
"""Owner, status, priority, rank, when it was started last, kind of some jobs."""


@pytest.fixture(scope="module")
def shared_database(tmp_path_factory):
    """One database for all examples: building its schema takes longer than they do."""
    opened = open_database(f"sqlite:///{tmp_path_factory.mktemp('order') / 'workbench.db'}")
    yield opened
    opened.close()


def fill(database, home):
    with database.writing() as connection:
        connection.execute(schema.jobs.delete())
        for actor, status, priority, rank, started_at, kind in home:
            job_id = jobs.add_row(connection, kind, {}, actor)
            if status != "queued" and started_at is None:
                started_at = 0
            changes = {"status": status, "priority": priority, "rank": rank}
            changes["started_at"] = None if started_at is None else float(started_at)
            connection.execute(
                schema.jobs.update().where(schema.jobs.c.id == job_id).values(**changes)
            )


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(HOMES)
def test_queue_is_shown_in_the_order_in_which_its_jobs_are_started(shared_database, home):
    fill(shared_database, home)
    shown = [job.id for job in jobs.queue(shared_database)]
    started = []
    while (job := attempts.claim(shared_database, KINDS, "cpu")) is not None:
        started.append(job.id)
    assert started == shown
    assert len(shown) == sum(status == "queued" for _, status, *_ in home)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), max_size=30),
    st.dictionaries(st.sampled_from("abcd"), st.floats(0, 9)),
)
def test_every_job_is_called_once_and_nobody_twice_before_another_once(waiting, last_started):
    live = [Waiting(f"{number:02}", actor, rank) for number, (actor, rank) in enumerate(waiting)]
    ordered = in_order(live, last_started)
    assert sorted(ordered, key=lambda job: job.id) == live
    left = Counter(job.actor for job in live)
    called = Counter()
    for job in ordered:
        assert called[job.actor] <= min(called[actor] for actor in left if left[actor])
        called[job.actor] += 1
        left[job.actor] -= 1
