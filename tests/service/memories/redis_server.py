"""A server of Redis with a directory and a socket of its own."""

import subprocess
import tempfile
import time
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

PROGRAM = "/usr/bin/redis-server"

START_SECONDS = 20

WAIT_SECONDS = 60

NEVER = Retry(NoBackoff(), 0)

QUIET = {"port": "0", "save": "", "loglevel": "warning", "daemonize": "no"}
# With "everysec" a server that is killed while it syncs loses what it has answered since.
DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


class RedisServer:
    """A server that a test starts, stops and kills; it keeps its data when it is started again.

    :param options: of redis-server, beside those above.
    """

    def __init__(self, **options):
        self._directory = tempfile.TemporaryDirectory(prefix="redis-")
        self.socket = Path(self._directory.name) / "socket"
        self._options = {**QUIET, **DURABLE, "dir": self._directory.name, "unixsocket": str(self.socket), **options}
        self._process = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def url(self, prefix):
        """Return the URL of a store whose keys begin with a prefix; it waits, since the machine may be busy."""
        return f"unix://{self.socket}?socket_timeout={WAIT_SECONDS}&prefix={prefix}:"

    def client(self):
        """Return a client for what a test does behind the back of a store."""
        return Redis(unix_socket_path=str(self.socket), password=self._options.get("requirepass"), retry=NEVER)

    def start(self):
        """Start the server, and wait until it answers."""
        words = [word for name, value in self._options.items() for word in (f"--{name}", value)]
        log = Path(self._directory.name) / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen([PROGRAM, *words], stdout=output, stderr=output)
        until = time.monotonic() + START_SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except RedisConnectionError:
                    assert self._process.poll() is None, log.read_text()
                    assert time.monotonic() < until, log.read_text()
                    time.sleep(0.01)
                else:
                    return

    def stop(self):
        """Stop the server as an operator does."""
        self._process.terminate()
        self._process.wait()

    def kill(self):
        """Kill the server."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self):
        """End the server and remove its data."""
        self.kill()
        self._directory.cleanup()


def count_calls(store, monkeypatch):
    """Return a list that gets every command that a store sends from now on."""
    calls, execute = [], store._of.connection._execute
    monkeypatch.setattr(store._of.connection, "_execute", lambda *words: calls.append(words) or execute(*words))
    return calls
