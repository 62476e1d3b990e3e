"""Proxies as processes in front of running servers."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

from tests.server import Server, free_port

STARTUP_SECONDS = 20

NGINX_AROUND = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{}
}}
"""
"""What the configuration of a distribution has around the files in conf.d."""

SERVERS = """
    client_max_body_size 0;
    upstream service {{ server 127.0.0.1:{first}; server 127.0.0.1:{second}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://service;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $passed_on;
        }}
    }}
    # As the documentation of nginx has it: upgrades are passed on, and other connections are kept.
    map $http_upgrade $passed_on {{ default upgrade; '' ''; }}
"""


@contextmanager
def running_haproxy(project: Path, directory: Path, replicas: list[Server]) -> Iterator[tuple[int, Path]]:
    """Start haproxy as the project ships it before servers; return its port and log when a server is in use."""
    port = free_port()
    addresses = {f"REPLICA_{number}": f"127.0.0.1:{replica.port}" for number, replica in enumerate(replicas, 1)}
    command = ["/usr/sbin/haproxy", "-db", "-f", str(project / "deploy" / "haproxy" / "haproxy.cfg")]
    with running(command, port, directory / "haproxy.log", HAPROXY_LISTEN=f"127.0.0.1:{port}", **addresses) as log:
        yield port, log


@contextmanager
def running_nginx(directory: Path, first: Server, second: Server) -> Iterator[int]:
    """Start nginx before two servers, which it asks in turn; return its port."""
    port, configuration = free_port(), directory / "nginx.conf"
    servers = SERVERS.format(first=first.port, second=second.port, port=port)
    configuration.write_text(NGINX_AROUND.format(servers))
    command = ["/usr/sbin/nginx", "-p", str(directory), "-c", str(configuration)]
    with running(command, port, directory / "nginx.log"):
        yield port


@contextmanager
def running(command: list[str], port: int, log: Path, ready: str = "/readyz", **environment: str) -> Iterator[Path]:
    """Start a proxy, wait until it passes answers on, and end it afterwards; return its log."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output)
    try:
        until = time.monotonic() + STARTUP_SECONDS
        while time.monotonic() < until and not _is_ready(port, ready):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield log
    finally:
        process.terminate()
        process.wait(10)


def _is_ready(port: int, path: str) -> bool:
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except OSError:
            return False
