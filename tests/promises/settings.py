"""Right and wrong values of every setting, and `serve` where it is expected to refuse one."""

import os
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from service.cli import main
from service.keys import hashed
from service.settings import Settings

API_KEYS = Path(__file__).with_name("api_keys.txt")


def other_than_default(name: str) -> tuple[str, Any] | None:
    """Return another value than the default, as text and as value; None where the type of a setting names none."""
    setting = Settings.model_fields[name]
    if setting.annotation in (int, float) and setting.default_factory is None:
        return str(setting.default + 1), setting.default + 1
    choices = [choice for choice in get_args(setting.annotation) if choice != setting.default]
    if get_origin(setting.annotation) is Literal:
        return choices[0], choices[0]
    return ("another", "another") if setting.annotation is str else None


def wrong_texts(name: str) -> list[str]:
    """Return texts that the type of a setting refuses."""
    setting = Settings.model_fields[name]
    if get_origin(setting.annotation) is Literal:
        return ["none of these"]
    return ["many", "1e3", "inf"] if setting.annotation in (int, float) else []


CHANGED = {name: other for name in Settings.model_fields if (other := other_than_default(name))} | {
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": ("8001", 8001),
    "uds": ("/run/attention/attention.sock", Path("/run/attention/attention.sock")),
    "workers": ("2", 2),
    "root_path": ("/attention/v9", "/attention/v9"),
    "trusted_proxies": ("10.0.0.0/8, ::1, unix:", ("10.0.0.0/8", "::1/128", "unix:")),
    "compute_threads": ("1000", 1000),
    "kernel": ("numpy", "numpy"),
    "max_body_bytes": ("1001", 1001),
    "max_json_bytes": ("1002", 1002),
    "max_result_bytes": ("1003", 1003),
    "bytes_in_flight": ("1005", 1005),
    "max_operations": ("1004", 1004),
    "max_decompression_ratio": ("7", 7),
    "max_json_depth": ("9", 9),
    "queue_size": ("0", 0),
    "deadline_seconds": ("0.5", 0.5),
    "body_timeout_seconds": ("1.5", 1.5),
    "drain_seconds": ("2.5", 2.5),
    "ready_delay_seconds": ("5", 5),
    "api_keys": ("key-1, key-2", (hashed("key-1"), hashed("key-2"))),
    "api_keys_file": (str(API_KEYS), API_KEYS),
    "cors_origins": ("https://a.example, http://b.example:81", ("https://a.example", "http://b.example:81")),
    "frame_ancestors": ("self, https://*.example.org", ("'self'", "https://*.example.org")),
    "metrics_directory": ("/run/attention", "/run/attention"),
    "memories_directory": ("/var/lib/attention/memories", "/var/lib/attention/memories"),
    "memories_url": ("redis://:secret@redis:6379/2", "redis://:secret@redis:6379/2"),
    "memories_bytes": ("1006", 1006),
    "memory_bytes": ("1007", 1007),
    "ray_address": ("ray-head:6379", "ray-head:6379"),
    "otlp_endpoint": ("http://localhost:4318", "http://localhost:4318"),
    "log_level": ("warning", "warning"),
    "log_format": ("text", "text"),
}
"""Each setting as the environment writes another value than the default, and that value."""


WRONG = {name: texts for name in Settings.model_fields if (texts := wrong_texts(name))} | {
    "port": ["65536", "-1", "http", "8000/tcp", "80_00", " 8000", "8000 ", "1e3"],
    "workers": ["0", "1.5"],
    "root_path": ["attention", "/attention/", "/a?b", "//a", "/a/../b", "/\\a", "/a b", "/注意力"],
    "trusted_proxies": ["proxy", "10.0.0.1/8", "10.0.0.0/33", "*"],
    "compute_threads": ["0", "all"],
    "kernel": ["v1", "AUTO", "avx2"],
    "max_body_bytes": ["0", "64MiB"],
    "max_json_bytes": ["-1"],
    "max_result_bytes": ["0"],
    "bytes_in_flight": ["0", "256MiB"],
    "max_operations": ["0", "2e12x", "1_000", "\u0663"],
    "max_decompression_ratio": ["0", "1.5"],
    "max_json_depth": ["7"],
    "queue_size": ["-1"],
    "deadline_seconds": ["0", "nan", "inf", "a minute", "1_0", "1e1", "5 "],
    "body_timeout_seconds": ["-1", "nan"],
    "drain_seconds": ["0", "nan"],
    "ready_delay_seconds": ["-1", "nan", "20", "60"],
    "api_keys": [",", "[]", "clé", "sha256:123"],
    "api_keys_file": ["/nowhere/keys", os.devnull],
    "cors_origins": ["example.org", "https://example.org/", "https://a.example,*.b.example"],
    "frame_ancestors": ["example.org", "https://example.org/", "https://a.example;script-src", "none,self"],
    "memories_url": ["localhost:6379", "http://localhost:6379", "redis://", "redis:/localhost", "redis://a b"],
    "memories_bytes": ["0", "4GiB", "-1"],
    "memory_bytes": ["0", "1GiB"],
    "ray_address": ["ray-head", "http://ray-head:6379", "ray-head:port", "ray://ray-head:10001", "any where:6379"],
    "otlp_endpoint": ["localhost:4318", "ftp://localhost", "http://"],
    "log_level": ["verbose", "INFO"],
    "log_format": ["xml"],
}
"""Values that no setting may take, besides an empty one."""


SERVICE_LINKS = {
    "ATTENTION_PORT": "tcp://10.0.171.239:8000",
    "ATTENTION_PORT_8000_TCP": "tcp://10.0.171.239:8000",
    "ATTENTION_PORT_8000_TCP_ADDR": "10.0.171.239",
    "ATTENTION_PORT_8000_TCP_PORT": "8000",
    "ATTENTION_PORT_8000_TCP_PROTO": "tcp",
    "ATTENTION_SERVICE_HOST": "10.0.171.239",
    "ATTENTION_SERVICE_PORT": "8000",
    "ATTENTION_SERVICE_PORT_HTTP": "8000",
}
"""What Kubernetes sets in every pod beside a Service called attention (its documentation, "Service", environment)."""


def refusal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, str],
    *arguments: str,
    code: int = 2,
) -> str:
    """Run `serve` where no server may start, and return the one line that says why."""
    for variable, text in environment.items():
        monkeypatch.setenv(variable, text)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr("service.serving.server.serve", lambda *_: pytest.fail("a server started"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["serve", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    [line] = err.splitlines()
    return line
