"""Standard error that is not read, closed, broken or full stops no request; what can be written is, in whole lines."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from service.telemetry.line_writer import MAX_FLUSH_SECONDS, MAX_PENDING_BYTES, UNREAD_SECONDS, LineWriter
from tests.server import free_port
from tests.service.telemetry.scraping import scrape

REQUEST = {"query": [[1.0]], "key": [[1.0]]}
LONG_ID = "x" * 120

MAX_STOP_SECONDS = 1 + 2 * UNREAD_SECONDS + 5
"""Longest end of a server of two processes: draining, a log that is not read for each, and what a busy machine adds."""


@contextlib.contextmanager
def serving(*arguments, shell=None, environment=None, **streams):
    """Start a server with standard streams of its own, and wait until it is ready."""
    port = free_port()
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port), *arguments]
    settings = {"ATTENTION_DRAIN_SECONDS": "1", "ATTENTION_COMPUTE_THREADS": "1", **(environment or {})}
    if shell is not None:
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
    process = subprocess.Popen(command, env={**os.environ, **settings}, **streams)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                    break
            time.sleep(0.05)
        yield url, process
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def ask(url, times, label):
    """Send requests, most on one connection and some on new ones; every answer must come within ten seconds."""
    with httpx.Client(base_url=url, timeout=10) as client:
        for i in range(times):
            headers = {"X-Request-ID": f"{label}-{i}-{LONG_ID}"[:128]}
            if i % 50:
                assert client.post("/v1/attention", json=REQUEST, headers=headers).status_code == 200
            else:
                assert httpx.post(f"{url}/v1/attention", json=REQUEST, headers=headers, timeout=10).status_code == 200


def stopped(process):
    """Send SIGTERM; return the exit code and how many seconds it took."""
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    return process.wait(20), time.monotonic() - started


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.soak)])
def test_a_pipe_that_is_not_read_stops_nothing_and_loses_nothing_once_it_is(workers, report_figure):
    """A pipe holds 64 KiB; the lines behind wait in memory, and are written in order when the pipe is read."""
    with serving("--workers", workers, stderr=subprocess.PIPE) as (url, process):
        ask(url, 400, "unread")
        assert scrape(url).value("attention_log_lines_dropped_total") == 0
        content = bytearray()
        reader = threading.Thread(target=lambda: content.extend(process.stderr.read()))
        reader.start()
        ask(url, 20, "read")
        code, _ = stopped(process)
        reader.join(10)
    assert code == 0
    records = [json.loads(line) for line in content.decode().splitlines()]
    names = [one["request_id"] for one in records if one["logger"] == "service.access" and "attention" in one["route"]]
    found = sorted(name.rstrip("x-") for name in names)
    assert found == sorted([*(f"unread-{i}" for i in range(400)), *(f"read-{i}" for i in range(20))])
    report_figure(f"an unread pipe, {workers} workers: {len(content)} bytes of {len(records)} lines, all read later")


@pytest.mark.soak
def test_a_pipe_that_is_never_read_does_not_hold_up_the_end():
    with serving("--workers", "2", stderr=subprocess.PIPE) as (url, process):
        ask(url, 300, "unread")
        code, seconds = stopped(process)
    assert code == 0
    assert seconds < MAX_STOP_SECONDS


@pytest.mark.parametrize(
    ("closed", "workers"),
    [
        ("0<&- 1>&- 2>&-", "2"),
        # The others are no different, and take seconds each.
        *(
            pytest.param(closed, workers, marks=pytest.mark.soak)
            for closed in ("0>&-", "1>&-", "2>&-", "2>/dev/full")
            for workers in "12"
        ),
    ],
)
def test_closed_streams_and_a_full_disk_stop_nothing(closed, workers, tmp_path):
    with serving("--workers", workers, shell=closed, environment={"TMPDIR": str(tmp_path)}) as (url, process):
        ask(url, 60, "closed")
        assert httpx.get(f"{url}/metrics", timeout=10).status_code == 200
        code, seconds = stopped(process)
    assert code == 0
    assert seconds < MAX_STOP_SECONDS


@pytest.mark.soak
def test_a_reader_that_has_gone_stops_nothing_and_what_it_missed_is_counted():
    with serving(stderr=subprocess.PIPE) as (url, process):
        process.stderr.close()
        ask(url, 60, "broken")
        assert scrape(url).value("attention_log_lines_dropped_total") >= 60
        assert stopped(process)[0] == 0


@pytest.mark.soak
def test_a_socket_that_is_not_read_stops_nothing():
    """As systemd connects services to its journal."""
    journal, stderr = socket.socketpair()
    with journal, serving(stderr=stderr) as (url, process):
        stderr.close()
        ask(url, 400, "unread")
        assert stopped(process)[0] == 0


def test_a_full_disk_loses_no_line_that_finds_room_later(tmp_path):
    """The largest size of a file stands for the end of a disk: what does not fit fails, here with EFBIG as there."""
    path = tmp_path / "log"
    with path.open("wb") as file:
        writer = LineWriter(os.dup(file.fileno()))
    lines = [b"%04d %s\n" % (i, b"x" * 100) for i in range(100)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        for line in lines:
            writer.write(line)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    writer.flush()
    assert path.read_bytes() == b"".join(lines)


@contextlib.contextmanager
def pipe(capacity=None):
    """A pipe, and a writer of lines to it."""
    reading, writing = os.pipe()
    try:
        yield reading, LineWriter(writing)
    finally:
        os.close(reading)
        os.close(writing)


def read_all(reading, until):
    """Read until the text ends so."""
    content = b""
    while not content.endswith(until):
        content += os.read(reading, 65536)
    return content


@pytest.mark.soak
def test_dropped_lines_are_counted_and_reported_once_when_there_is_a_reader_again():
    with pipe() as (reading, writer):
        counted, reported = [], []
        writer.on_dropped = counted.append
        writer.on_recovered = lambda count: (reported.append(count), writer.write(b"%d dropped\n" % count))
        line = b"y" * 9999 + b"\n"
        sent = MAX_PENDING_BYTES // len(line) + 30
        for _ in range(sent):
            writer.write(line)
        content = read_all(reading, b" dropped\n")
        assert reported == [sum(counted)]
        assert sum(counted) > 0
        lines = content.splitlines(keepends=True)
        assert lines[:-1] == [line] * (sent - reported[0])
        writer.write(b"after\n")
        assert read_all(reading, b"after\n") == b"after\n"
        assert len(reported) == 1


def test_a_writer_never_waits():
    """Of a thousand calls all but a few take no time, whether the pipe takes the line or not.

    This process may lose its core during a few; a writer that waited would wait in each call after the pipe is full.
    """
    seconds = []
    with pipe() as (_, writer):
        for _ in range(1000):
            started = time.perf_counter()
            writer.write(b"z" * 500 + b"\n")
            seconds.append(time.perf_counter() - started)
        started = time.monotonic()
        writer.flush()
        assert UNREAD_SECONDS / 2 < time.monotonic() - started < MAX_FLUSH_SECONDS
    assert sorted(seconds)[-10] < 0.05


def test_a_descriptor_that_cannot_be_opened_again_is_written_by_a_thread(monkeypatch):
    """As where the pipe belongs to another user, or there is no /proc."""
    opened = os.open

    def refused(path, *arguments):
        if str(path).startswith("/proc"):
            raise PermissionError
        return opened(path, *arguments)

    monkeypatch.setattr(os, "open", refused)
    with pipe() as (reading, writer):
        lines = [b"%d %s\n" % (i, b"w" * 1000) for i in range(200)]
        for line in lines:
            writer.write(line)
        assert read_all(reading, lines[-1]) == b"".join(lines)


def test_a_long_line_is_not_torn_by_those_of_another_process():
    """A pipe takes up to PIPE_BUF bytes whole or not at all; a longer line waits until the pipe is empty."""
    with pipe() as (reading, writer):
        other = LineWriter(writer._descriptor)
        filler = b"f" * 4000 + b"\n"
        for _ in range(14):
            other.write(filler)
        long = b"l" * 20_000 + b"\n"
        writer.write(long)
        for _ in range(5):
            other.write(filler)
        other.write(b"end\n")
        content = b""
        while long not in content or b"end\n" not in content:
            content += os.read(reading, 65536)
            time.sleep(0.02)
        assert sorted(content.splitlines(keepends=True)) == sorted([*[filler] * 19, long, b"end\n"])


BROKEN_THREAD = """
import sys, threading, warnings
from service.telemetry import logs
with logs.written("info", "json"):
    thread = threading.Thread(target=lambda: 1 / 0, name="broken")
    thread.start()
    thread.join()
    warnings.warn("beware")
    import asyncio
    loop = asyncio.new_event_loop()
    loop.call_exception_handler({"message": "never retrieved"})
    loop.close()
    print("printed", file=sys.stderr)
"""


def test_everything_that_a_server_says_goes_the_same_way(project: Path):
    ended = subprocess.run(
        [sys.executable, "-c", BROKEN_THREAD], capture_output=True, text=True, check=True, cwd=project, timeout=30
    )
    *lines, printed = ended.stderr.splitlines()
    records = [json.loads(line) for line in lines]
    assert [one["logger"] for one in records] == ["service.log", "py.warnings", "asyncio"]
    assert "broken" in records[0]["message"]
    assert "ZeroDivisionError" in records[0]["exception"]
    assert printed == "printed"
