"""The metrics: their names, meanings, labels and the values that labels may have."""

from dataclasses import dataclass
from typing import Literal

from service.problems.kinds import PROBLEMS

Kind = Literal["counter", "gauge", "histogram"]

Combine = Literal["sum", "min", "max", "own"]
"""How the numbers of several processes are merged; "own" is that of the process which answers the scrape, where all of
them measure the same thing."""

BUCKET_BOUNDS_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0),
)
"""Upper bounds of histogram buckets in seconds, from a small request to the default deadline."""

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""Methods with a label of their own: a client may send any word as a method."""

UNKNOWN_ROUTE = "unknown"
"""The route label of every path that does not exist."""

CLIENT_CLOSED_REQUEST = "499"
"""The status label of a request whose client went away before its answer, after nginx."""

BY_ADMISSION = ("bytes-in-flight", "deadline-exceeded", "disconnected", "queue-full")
"""Rejections that admission counts itself, since it knows more of them than their problem says."""

REFUSALS = tuple(sorted(slug for slug, one in PROBLEMS.items() if one.is_refusal and slug not in BY_ADMISSION))
"""Problems of all other valid requests that were refused."""

REASONS = (*BY_ADMISSION, *REFUSALS)
"""Values of the label `reason`: rejections by admission and by the middleware around it."""

DIRECTIONS = ("in", "out")


@dataclass(frozen=True, slots=True)
class Family:
    """One metric; `about` is its HELP text."""

    name: str
    kind: Kind
    about: str
    labels: tuple[str, ...] = ()
    combine: Combine = "sum"


FAMILIES = (
    Family(
        "attention_requests_total",
        "counter",
        "Requests by the template of their route; status 499 means that the client did not wait for the answer.",
        ("route", "method", "status"),
    ),
    Family(
        "attention_request_seconds",
        "histogram",
        "Seconds from the head of a request to the last byte of its answer, without probes and scrapes.",
    ),
    Family("attention_in_flight", "gauge", "Requests not yet answered, without probes and scrapes."),
    Family("attention_queued", "gauge", "Requests that wait for a compute thread."),
    Family(
        "attention_queue_wait_seconds",
        "histogram",
        "Seconds that a request waited for a compute thread; small requests need none and are not counted here.",
    ),
    Family(
        "attention_rejected_total",
        "counter",
        "Requests turned away, by the reason: load, cost, time, sender, or a client that has gone.",
        ("reason",),
    ),
    Family(
        "attention_compute_seconds",
        "histogram",
        "Seconds that computing took, without decoding and encoding.",
        ("score_model", "path"),
    ),
    Family("attention_operations_total", "counter", "Predicted floating-point operations of all computations."),
    Family(
        "attention_bytes_total",
        "counter",
        "Bytes of bodies as they travelled, received (in) and sent (out).",
        ("direction", "media_type"),
    ),
    Family(
        "attention_log_lines_dropped_total",
        "counter",
        "Lines of the log that were dropped because standard error was not read, or could not be written.",
    ),
    Family("attention_memories", "gauge", "Memories that are kept, by all processes together.", combine="own"),
    Family(
        "attention_memories_bytes",
        "gauge",
        "Bytes of the files of all memories, which ATTENTION_MEMORIES_BYTES limits.",
        combine="own",
    ),
    Family("attention_memory_reads_total", "counter", "Requests that read a memory, each memory counted once."),
    Family("attention_memory_appends_total", "counter", "Appends to memories."),
    Family("attention_memories_expired_total", "counter", "Memories removed at the end of their time to live."),
    Family("attention_cluster_calls_total", "counter", "Calls that the Ray cluster has computed."),
    Family("attention_cluster_tasks_total", "counter", "Tasks of these calls."),
    Family(
        "attention_cluster_retries_total",
        "counter",
        "Tasks that were computed once more because a node failed, refused or stalled.",
    ),
    Family(
        "attention_cluster_seconds_total", "counter", "Seconds that calls spent on the Ray cluster, waits included."
    ),
    Family(
        "attention_cluster_bytes_total",
        "counter",
        "Bytes of arguments (out) and results (in) of tasks.",
        ("direction",),
    ),
    Family(
        "attention_shard_calls_total",
        "counter",
        "Calls on memories with shards, by who computed them: the shards, or this process.",
        ("computed_by",),
    ),
    Family("attention_shards_lost_total", "counter", "Times that a shard of a memory was gone or did not answer."),
    Family(
        "attention_build_info",
        "gauge",
        "1, labelled with the versions that run.",
        ("version", "python"),
        "max",
    ),
    Family("process_cpu_seconds_total", "counter", "Processor time in user and system mode."),
    Family("process_resident_memory_bytes", "gauge", "Resident memory; pages that workers share count once for each."),
    Family("process_open_fds", "gauge", "Open file descriptors."),
    Family("process_max_fds", "gauge", "Most file descriptors that may be open."),
    Family("process_start_time_seconds", "gauge", "Unix time when the service started.", combine="min"),
)
