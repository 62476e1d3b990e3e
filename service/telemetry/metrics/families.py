"""The metrics: their names, meanings, labels and the values that labels may have."""

from dataclasses import dataclass
from typing import Literal

from service.problems.kinds import PROBLEMS
from service.schemas.base import Text

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
    """One metric; `about.en` is its HELP text."""

    name: str
    kind: Kind
    about: Text
    labels: tuple[str, ...] = ()
    combine: Combine = "sum"


FAMILIES = (
    Family(
        "attention_requests_total",
        "counter",
        Text(
            "请求数，按路由模板；状态 499 表示客户端没有等到响应。",
            "Requests by the template of their route; status 499 means that the client did not wait for the answer.",
        ),
        labels=("route", "method", "status"),
    ),
    Family(
        "attention_request_seconds",
        "histogram",
        Text(
            "从收到请求头到发完响应的秒数，不含探针与抓取。",
            "Seconds from the head of a request to the last byte of its answer, without probes and scrapes.",
        ),
    ),
    Family(
        "attention_in_flight",
        "gauge",
        Text("尚未答复的请求，不含探针与抓取。", "Requests not yet answered, without probes and scrapes."),
    ),
    Family("attention_queued", "gauge", Text("正在等待计算线程的请求。", "Requests that wait for a compute thread.")),
    Family(
        "attention_queue_wait_seconds",
        "histogram",
        Text(
            "请求等待计算线程的秒数；小请求不需要线程，不计在内。",
            "Seconds that a request waited for a compute thread; small requests need none and are not counted here.",
        ),
    ),
    Family(
        "attention_rejected_total",
        "counter",
        Text(
            "被拒绝的请求，按原因：负载、开销、时间、发送者，或客户端已离开。",
            "Requests turned away, by the reason: load, cost, time, sender, or a client that has gone.",
        ),
        labels=("reason",),
    ),
    Family(
        "attention_compute_seconds",
        "histogram",
        Text("计算所用的秒数，不含解码与编码。", "Seconds that computing took, without decoding and encoding."),
        labels=("score_model", "path"),
    ),
    Family(
        "attention_operations_total",
        "counter",
        Text("已完成的计算所预计的浮点运算次数。", "Predicted floating-point operations of all computations."),
    ),
    Family(
        "attention_bytes_total",
        "counter",
        Text(
            "请求体与响应体在网络上的字节数：收到（in）与发出（out）。",
            "Bytes of bodies as they travelled, received (in) and sent (out).",
        ),
        labels=("direction", "media_type"),
    ),
    Family(
        "attention_log_lines_dropped_total",
        "counter",
        Text(
            "因无人读取或无法写入标准错误而丢弃的日志行数。",
            "Lines of the log that were dropped because standard error was not read, or could not be written.",
        ),
    ),
    Family(
        "attention_memories",
        "gauge",
        Text("所有进程共同保存的记忆数。", "Memories that are kept, by all processes together."),
        combine="own",
    ),
    Family(
        "attention_memories_bytes",
        "gauge",
        Text(
            "全部记忆的文件的字节数，上限为 ATTENTION_MEMORIES_BYTES。",
            "Bytes of the files of all memories, which ATTENTION_MEMORIES_BYTES limits.",
        ),
        combine="own",
    ),
    Family(
        "attention_memory_reads_total",
        "counter",
        Text("读取记忆的请求数，每个记忆计一次。", "Requests that read a memory, each memory counted once."),
    ),
    Family("attention_memory_appends_total", "counter", Text("对记忆的追加次数。", "Appends to memories.")),
    Family(
        "attention_memories_expired_total",
        "counter",
        Text("到期删除的记忆数。", "Memories removed at the end of their time to live."),
    ),
    Family(
        "attention_cluster_calls_total",
        "counter",
        Text("Ray 集群完成的计算数。", "Calls that the Ray cluster has computed."),
    ),
    Family("attention_cluster_tasks_total", "counter", Text("这些计算的任务数。", "Tasks of these calls.")),
    Family(
        "attention_cluster_retries_total",
        "counter",
        Text(
            "因节点失效、拒绝或停顿而重新计算的任务数。",
            "Tasks that were computed once more because a node failed, refused or stalled.",
        ),
    ),
    Family(
        "attention_cluster_seconds_total",
        "counter",
        Text("计算在 Ray 集群上所用的秒数，包括等待。", "Seconds that calls spent on the Ray cluster, waits included."),
    ),
    Family(
        "attention_cluster_bytes_total",
        "counter",
        Text("任务的参数（out）与结果（in）的字节数。", "Bytes of arguments (out) and results (in) of tasks."),
        labels=("direction",),
    ),
    Family(
        "attention_shard_calls_total",
        "counter",
        Text(
            "对分片记忆的计算，按由谁完成：分片，或本进程。",
            "Calls on memories with shards, by who computed them: the shards, or this process.",
        ),
        labels=("computed_by",),
    ),
    Family(
        "attention_shards_lost_total",
        "counter",
        Text("记忆的分片丢失或没有应答的次数。", "Times that a shard of a memory was gone or did not answer."),
    ),
    Family(
        "attention_build_info",
        "gauge",
        Text("恒为 1，标签说明运行的是什么。", "1, labelled with the versions that run."),
        labels=("version", "python"),
        combine="max",
    ),
    Family(
        "process_cpu_seconds_total",
        "counter",
        Text("用户态与内核态的处理器时间（秒）。", "Processor time in user and system mode."),
    ),
    Family(
        "process_resident_memory_bytes",
        "gauge",
        Text(
            "常驻内存；各工作进程共享的页分别计入。", "Resident memory; pages that workers share count once for each."
        ),
    ),
    Family("process_open_fds", "gauge", Text("打开的文件描述符数。", "Open file descriptors.")),
    Family("process_max_fds", "gauge", Text("最多可以打开的文件描述符数。", "Most file descriptors that may be open.")),
    Family(
        "process_start_time_seconds",
        "gauge",
        Text("服务启动的 Unix 时间。", "Unix time when the service started."),
        combine="min",
    ),
)
