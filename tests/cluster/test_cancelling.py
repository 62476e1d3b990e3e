"""Cancellations that Ray drops, interrupts at any moment, errors of a cluster that ends; no cluster is needed."""

import _thread
import signal
import socket
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from service.cluster import connection
from service.cluster.connection import Cluster
from service.cluster.session import Session
from service.cluster.tasks import cancellable
from service.settings import Settings


class FakeRay:
    """Takes cancellations; tasks end once the test says so."""

    def __init__(self, address: str = "127.0.0.1:1") -> None:
        self.address = address
        self.cancelled: list[str] = []
        self.ended: set[str] = set()
        self.is_broken = False

    def init(self, **_: object) -> None:
        if self.is_broken:
            raise ConnectionError

    def shutdown(self) -> None:
        pass

    def get_runtime_context(self):
        return SimpleNamespace(gcs_address=self.address, get_node_id=lambda: "here")

    def nodes(self):
        if self.is_broken:
            raise ConnectionError
        return [{"Alive": True, "NodeID": "here", "Resources": {"CPU": 3.0}}]

    def cancel(self, task):
        self.cancelled.append(task)

    def wait(self, tasks, num_returns, timeout, fetch_local):
        assert (num_returns, timeout, fetch_local) == (len(tasks), 0, False)
        return [task for task in tasks if task in self.ended], [task for task in tasks if task not in self.ended]


def test_tasks_are_cancelled_until_they_have_ended() -> None:
    """One that arrives before its task has no effect."""
    ray = FakeRay()
    session = Session(ray)
    session.cancel_again()
    session.cancel(["early", "running"])
    ray.ended = {"running"}
    session.cancel_again()
    session.cancel_again()
    ray.ended = {"running", "early"}
    session.cancel_again()
    ray.ended = set()
    session.cancel_again()
    assert ray.cancelled == ["early", "running", "early", "early"]


def test_a_task_that_never_ends_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its node is frozen, or gone unnoticed."""
    ray = FakeRay()
    session = Session(ray)
    monkeypatch.setattr("service.cluster.session.CANCEL_SECONDS", 0.0)
    session.cancel(["frozen"])
    for _ in range(2):
        session.cancel_again()
    assert ray.cancelled == ["frozen"]


def wait_until(cluster: Cluster, *, is_connected: bool) -> None:
    until = time.monotonic() + 30
    while cluster.is_connected != is_connected:
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.01)


def test_a_connection_that_breaks_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Ray raises while the connection is watched."""
    monkeypatch.setattr(connection, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(connection, "RECONNECT_SECONDS", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        ray = FakeRay(address)
        monkeypatch.setitem(sys.modules, "ray", ray)
        cluster = Cluster(Settings(ray_address=address), SimpleNamespace())
        cluster.start(lambda: None)
        try:
            wait_until(cluster, is_connected=True)
            ray.is_broken = True
            wait_until(cluster, is_connected=False)
            ray.is_broken = False
            wait_until(cluster, is_connected=True)
        finally:
            cluster.close()


@pytest.fixture
def _restored_handler():
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("_restored_handler")
def test_an_interrupt_while_the_thread_starts_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), threading.Event()

    def compute(should_stop):
        begun.set()
        while not should_stop():
            time.sleep(0.001)
        ended.set()

    class Interrupted(threading.Thread):
        def start(self):
            super().start()
            begun.wait()
            raise KeyboardInterrupt

    monkeypatch.setattr("service.cluster.tasks.threading.Thread", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        cancellable(compute)
    assert ended.is_set()


@pytest.mark.usefixtures("_restored_handler")
def test_a_second_interrupt_does_not_leave_the_thread_behind() -> None:
    ended = threading.Event()

    def compute(should_stop):
        _thread.interrupt_main()
        while not should_stop():
            time.sleep(0.001)
        _thread.interrupt_main()
        # The main thread has time to notice.
        time.sleep(0.3)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        cancellable(compute)
    assert ended.is_set()
