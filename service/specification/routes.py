"""What every other route than those of `ENDPOINTS` does: the OpenAPI document and a table of the documentation show it.

A route whose path has a version does what the path without it does, and so does one with a slash at its end.
"""

from collections.abc import Mapping

from service.schemas.base import Text

ROUTES: Mapping[str, Text] = {
    "POST /v2/models/{model}/infer": Text(
        "用一个打分函数计算；张量为 JSON，或其后的原始字节。",
        "Attend with one score model; tensors as JSON, or as raw bytes behind it.",
    ),
    "GET /v2": Text("服务的名称、版本与协议扩展。", "Name, version and protocol extensions of the server."),
    "GET /v2/health/live": Text("进程还能响应时为 200。", "200 while the process answers."),
    "GET /v2/health/ready": Text(
        "可以接收请求时为 200；启动与停机期间不行，为 503。",
        "200 while requests may be sent here, else 503: while starting or draining.",
    ),
    "GET /v2/models/{model}": Text(
        "模型的输入与输出；哪些可以省略，见其配置。",
        "Inputs and outputs of a model; its configuration says which are optional.",
    ),
    "GET /v2/models/{model}/ready": Text(
        "模型是否就绪：服务就绪时，全部模型都就绪。",
        "Whether a model takes requests: every one does while the service does.",
    ),
    "GET /v2/models/{model}/config": Text(
        "模型的张量，以及哪些可以省略。", "Tensors of a model, and which of them are optional."
    ),
    "GET /v2/models/{model}/stats": Text(
        "服务启动以来一个模型的请求次数，以及时间用在哪里。",
        "How often a model was asked since the service started, and where the time went.",
    ),
    "GET /v2/models/stats": Text("全部模型的同样统计。", "The same of every model."),
    "POST /v2/repository/index": Text(
        "全部模型及其状态；请求体可以为空。", "Every model and its state; the body may be empty."
    ),
    "GET /v1/memories": Text(
        "按名称列出记忆，至多 `limit` 个，从 `after` 之后开始。",
        "Memories by name, at most `limit` of them, behind `after`.",
    ),
    "PUT /v1/memories/{name}": Text(
        "以某个名称保存键与值，替换原有的；注意力请求用 `memory` 引用它，例如 "
        '`{"query": [[2, 1, 1, 0]], "memory": "heroes"}`。',
        "Keeps keys and values under a name, in the place of those that are there; attention requests name it as "
        '`memory`, as in `{"query": [[2, 1, 1, 0]], "memory": "heroes"}`.',
    ),
    "GET /v1/memories/{name}": Text(
        "一个记忆的说明：形状、版本、时间。", "The description of one memory: shapes, version, times."
    ),
    "DELETE /v1/memories/{name}": Text(
        "删除一个记忆；正在用它计算的请求仍会得到答复。",
        "Removes a memory; requests that are computing from it are answered.",
    ),
    "POST /v1/memories/{name}/append": Text(
        "在已有的键与值之后追加；带 If-Match 时可以放心重发。",
        "Adds keys and values behind those that are there; with If-Match it is safe to send again.",
    ),
    "GET /v1/memories/{name}/tensors": Text(
        "以 safetensors 文件下载键、值与键的名称；原样上传即得到相同的记忆。",
        "The keys, values and labels of one, as a safetensors file, which makes an equal memory when it is put.",
    ),
    "GET /v1/score-models": Text(
        "打分函数：标题、公式、参数、出处、示例。",
        "Score models with titles, formula, parameters, source and an example.",
    ),
    "GET /v1/normalizers": Text(
        "归一化方法：标题、公式、参数、出处、示例。",
        "Normalizers with titles, formula, parameters, source and an example.",
    ),
    "GET /v1/expressions": Text(
        "公式的语言；带 `?formula=…` 则检查该公式，返回 LaTeX、MathML 与参数。",
        "The language of formulas; with `?formula=…` checks one and returns LaTeX, MathML and parameters.",
    ),
    "GET /v1/examples": Text("例题列表。", "The list of worked examples."),
    "GET /v1/examples/{id}": Text(
        "一道例题：故事、可以原样发送的请求，以及应得的数字。",
        "One worked example: its story, a request to post as it is, and the numbers to expect.",
    ),
    "GET /livez": Text("进程还能响应时为 200；否则应当重启它。", "200 while the process answers; restart it when not."),
    "GET /readyz": Text(
        "可以接收请求时为 200；启动与停机期间不行，为 503。",
        "200 while requests may be sent here, else 503: while starting or draining.",
    ),
    "GET /metrics": Text(
        "供 Prometheus 抓取的全部计数，已对所有进程求和。",
        "Everything that is counted, summed over all processes, for Prometheus.",
    ),
    "GET /playground": Text(
        "演练场；与 Swagger UI 一样，不加载任何外部资源。",
        "The playground; like Swagger UI it loads nothing from elsewhere.",
    ),
    "GET /guide": Text("这些页面，语言随浏览器的偏好。", "These pages, in the language that the browser prefers."),
    "GET /docs": Text("Swagger UI，每个接口都可以当场试用。", "Swagger UI, where every endpoint can be tried."),
    "GET /openapi.json": Text("OpenAPI 3.1 文档。", "The OpenAPI 3.1 document."),
    "GET /problems": Text("列出全部错误的页面。", "A page that lists every kind of error."),
    "GET /problems/{slug}": Text("解释一类错误的页面。", "A page that explains one kind of error."),
    "GET /": Text(
        "给程序看的索引；浏览器会转到 `/playground`。", "An index for programs; a browser is sent to `/playground`."
    ),
}
"""What a request does, or what its answer is, by method and path."""
