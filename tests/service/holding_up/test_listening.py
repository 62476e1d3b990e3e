"""Where the service listens: the same addresses whatever the number of workers, or a Unix socket."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from attention_client import AttentionClient
from service.serving.listening import CannotListen, bind
from tests.processes import workers_of
from tests.sampling import sample
from tests.server import free_port, log_lines, running_server

FAMILIES = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}

REACHED = {
    "127.0.0.1": {"127.0.0.1"},
    "0.0.0.0": {"127.0.0.1"},
    "::1": {"::1"},
    "::": {"127.0.0.1", "::1"},
    "localhost": {address for *_, (address, *_) in socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)},
}
"""From which addresses of this machine each host can be reached; the name as the machine resolves it."""


def reached(port):
    """Return the addresses on which something listens."""
    found = set()
    for address, family in FAMILIES.items():
        with socket.socket(family) as probe, suppress(ConnectionRefusedError):
            probe.connect((address, port))
            found.add(address)
    return found


@pytest.mark.parametrize("host", REACHED)
def test_a_host_is_every_address_that_it_means(host):
    """Both families under `::` and under a name with both; with port 0 one port for all of them."""
    with closing(bind(host, 0, None)) as listeners:
        for listener in listeners.sockets:
            listener.listen()
        [port] = {listener.getsockname()[1] for listener in listeners.sockets}
        assert reached(port) == REACHED[host]


@pytest.mark.parametrize("workers", sample([1, 2], 2))
@pytest.mark.parametrize("host", ["::", pytest.param("localhost", marks=pytest.mark.soak)])
def test_the_number_of_workers_changes_nothing_about_the_addresses(tmp_path, host, workers):
    with running_server(tmp_path, "--host", host, "--workers", str(workers), DRAIN_SECONDS="1") as server:
        assert reached(server.port) == REACHED[host]
        for address in REACHED[host]:
            where = f"[{address}]" if ":" in address else address
            assert httpx.get(f"http://{where}:{server.port}/readyz").status_code == 200
        assert server.stop()[0] == 0


@pytest.mark.parametrize("workers", sample(["1", "2"], "2"))
def test_a_port_that_is_taken_is_an_error_that_says_so(workers):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [sys.executable, "-m", "service.cli", "serve", "--port", port, "--workers", workers]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 3
    assert f"received 127.0.0.1 port {port}: Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_host_that_there_is_not_is_an_error_that_says_so():
    for host in ("192.0.2.1", "nowhere.invalid"):
        with pytest.raises(CannotListen, match=rf"expected an address to listen on; received {host} port 8000: "):
            bind(host, 8000, None)


def over(path, timeout=10):
    """Return a client that connects to a Unix socket."""
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://attention", timeout=timeout)


def serving(path, *arguments):
    """Start a server on a Unix socket, and wait until it takes connections."""
    command = [sys.executable, "-m", "service.cli", "serve", "--uds", str(path), *arguments]
    environment = {**os.environ, "ATTENTION_DRAIN_SECONDS": "1", "ATTENTION_COMPUTE_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(str(path))
            break
        time.sleep(0.05)
    return process


@pytest.mark.soak
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_unix_socket_serves_and_is_gone_afterwards(tmp_path, workers):
    """One that was left behind is replaced; one that is in use is not; the permissions are those documented."""
    path = tmp_path / "attention.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    process = serving(path, "--workers", workers)
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        with over(path) as client:
            answer = client.post("/v1/attention", json={"query": [[1]], "key": [[1]], "value": [[2]]})
            assert answer.json()["output"] == [[2]]
        with AttentionClient("http://attention", transport=httpx.HTTPTransport(uds=str(path))) as own:
            assert own.attend([[1.0]], [[1.0]], [[2.0]]).output == [[2]]
        command = [sys.executable, "-m", "service.cli"]
        ended = subprocess.run(
            [*command, "serve", "--uds", str(path)], capture_output=True, text=True, timeout=30, check=False
        )
        assert ended.returncode == 3
        assert f"received {path}: another process listens there. Change ATTENTION_UDS." in ended.stderr
        assert subprocess.run([*command, "healthcheck", "--uds", str(path)], timeout=30, check=False).returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not path.exists()
        assert (
            subprocess.run(
                [*command, "healthcheck", "--uds", str(path)], timeout=30, check=False, stderr=subprocess.DEVNULL
            ).returncode
            == 1
        )
    finally:
        process.kill()
        process.wait()


def test_a_file_that_is_no_socket_is_not_replaced(tmp_path):
    path = tmp_path / "precious"
    path.write_text("precious")
    with pytest.raises(CannotListen, match="a file is there that is not a socket"):
        bind("127.0.0.1", 0, path)
    assert path.read_text() == "precious"
    with pytest.raises(CannotListen, match="too long"):
        bind("127.0.0.1", 0, tmp_path / ("x" * 120))


def test_a_socket_that_another_process_has_put_there_is_not_removed(tmp_path):
    path = tmp_path / "attention.sock"
    with closing(bind("", 0, path)) as first:
        path.unlink()
        with closing(bind("", 0, path)) as second:
            first.remove_file()
            assert path.exists()
            second.remove_file()
            assert not path.exists()


@pytest.mark.parametrize("workers", sample([1, 2], 2))
def test_sighup_drains_as_sigterm_does(tmp_path, workers):
    """To the process that was started; of its workers each minds only its parent, like Ctrl-C in a terminal."""
    options = ("--workers", str(workers))
    with running_server(tmp_path, *options, DRAIN_SECONDS="2", COMPUTE_THREADS="1") as server:
        if workers > 1:
            while server.log.read_text().count("Application startup complete") < workers:
                time.sleep(0.05)
            for worker in workers_of(server.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGHUP)
            time.sleep(0.3)
            assert httpx.get(f"{server.url}/readyz").status_code == 200
        server.process.send_signal(signal.SIGHUP)
        assert server.process.wait(30) == 0
        log = server.log.read_text()
    assert log.count("draining: not ready any more") == workers
    assert "died with exit code" not in log


@pytest.mark.soak
def test_under_nohup_sighup_ends_nothing(tmp_path):
    port = free_port()
    command = ["nohup", sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=Path.cwd())
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until and not reached(port):
            time.sleep(0.05)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=10).status_code == 200
    finally:
        process.kill()
        process.wait()


def test_readyz_says_503_for_the_ready_delay_before_the_listener_closes(tmp_path, report_figure):
    """The delay is longer than the tenth of the time to drain that it replaces, and everything is still answered."""
    with running_server(tmp_path, DRAIN_SECONDS="6", READY_DELAY_SECONDS="1") as server:
        server.process.send_signal(signal.SIGTERM)
        [began] = log_lines(server, "draining: not ready any more")
        states = set()
        while server.process.poll() is None:
            try:
                states.add(httpx.get(f"{server.url}/readyz", timeout=5).status_code)
                answered = httpx.post(f"{server.url}/v1/attention", json={"query": [[1]], "key": [[1]]}, timeout=5)
                assert answered.status_code == 200
            except httpx.ConnectError:
                break
            time.sleep(0.05)
        assert server.process.wait(20) == 0
        [closed] = log_lines(server, "draining: no new connections")
        seconds = (datetime.fromisoformat(closed["time"]) - datetime.fromisoformat(began["time"])).total_seconds()
    assert states == {503}
    report_figure(f"with a ready delay of 1 s the listener closed after {seconds:.1f} s")
    assert 0.99 < seconds < 4
