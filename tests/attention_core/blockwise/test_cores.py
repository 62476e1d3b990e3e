"""Cores: disjoint parts for the threads of a call, a thread's own affinity as it was afterwards."""

import os
import threading

import numpy as np
import pytest

from attention_core import Workers, attend
from attention_core.blockwise import cores

LONG = np.random.default_rng(1).standard_normal((2, 700, 8))


class Machine:
    """A system of so many cores that remembers who was bound to what."""

    def __init__(self, count, lets=True):
        self.affinity, self.everything, self.lets = {}, set(range(count)), lets
        self.log = []

    def sched_getaffinity(self, _):
        return set(self.affinity.get(threading.get_ident(), self.everything))

    def sched_setaffinity(self, _, wanted):
        if not self.lets:
            raise PermissionError
        self.affinity[threading.get_ident()] = set(wanted)
        self.log.append((threading.get_ident(), set(wanted)))


@pytest.fixture
def machine(monkeypatch):
    def install(count, **options):
        made = Machine(count, **options)
        monkeypatch.setattr(os, "sched_getaffinity", made.sched_getaffinity, raising=False)
        monkeypatch.setattr(os, "sched_setaffinity", made.sched_setaffinity, raising=False)
        return made

    return install


@pytest.mark.parametrize(("count", "threads"), [(2, 2), (8, 3), (64, 64)])
def test_cores_are_divided_among_threads(machine, monkeypatch, count, threads):
    machine(count)
    monkeypatch.setattr(cores, "_current", lambda: count - 1)
    parts = cores.divide_cores(threads)
    assert len(parts) == threads
    assert sorted(core for part in parts for core in part) == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert count - 1 in parts[0], "the calling thread stays where it is"


def test_fewer_cores_than_threads_are_not_divided(machine):
    machine(2)
    assert cores.divide_cores(3) == [None, None, None]


def test_a_system_without_affinity_is_left_alone(monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    assert cores.divide_cores(2) == [None, None]
    with cores.bound_to(frozenset({0})):
        pass


def test_threads_of_a_call_keep_to_their_own_and_are_free_afterwards(machine):
    here, seen, met = machine(4), {}, threading.Barrier(2)

    def work(stay):
        met.wait(30)
        seen[threading.get_ident()] = here.sched_getaffinity(0)

    with Workers(2) as workers:
        workers.share(work)
    first, second = seen.values()
    assert first.isdisjoint(second)
    assert first | second == here.everything
    assert all(bound == here.everything for bound in here.affinity.values())


def test_a_call_without_helpers_binds_nobody(machine):
    here = machine(4)
    with Workers(1) as workers:
        workers.share(lambda stay: None)
    assert here.log == []


def test_a_system_that_does_not_let_threads_be_bound_still_works(machine):
    machine(4, lets=False)
    alone = attend(LONG, LONG, LONG, include=("output",)).output
    with Workers(2) as workers:
        np.testing.assert_array_equal(attend(LONG, LONG, LONG, include=("output",), workers=workers).output, alone)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system binds no threads to cores")
def test_the_calling_thread_may_run_where_it_might_before():
    before = os.sched_getaffinity(0)
    with Workers(2) as workers:
        attend(LONG, LONG, LONG, include=("output",), workers=workers)
    assert os.sched_getaffinity(0) == before
