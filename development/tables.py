"""Tables of the documentation; `development.generate` writes them between the markers of their pages."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import yaml

from attention_core import MASKS, NORMALIZERS, POSITIONS, SCORE_MODELS
from attention_core.checking import DEFAULT_TOLERANCES, MISTAKES
from attention_core.descriptions import Described, Description, Parameter, Text, parameters_of
from attention_core.formulas.language import ANYWHERE, GROUPS, LANGUAGE
from service.codecs.open_inference.vocabulary import ACCEPTED, COMMON_INPUTS, SCALARS
from service.codecs.registry import CODECS
from service.environment import our_variable
from service.examples import load_examples
from service.explanation.texts import ADVICE
from service.problems import PROBLEMS
from service.schemas.masks import MASK_MEMBERS
from service.settings import MIB, Settings, described
from service.specification import ENDPOINTS
from service.specification.routes import ROUTES
from service.telemetry.metrics.families import FAMILIES, Kind

Language = Literal["en", "zh"]

ROOT = Path(__file__).parent.parent
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"

SUFFIXES: Mapping[Language, str] = {"en": ".md", "zh": ".zh-CN.md"}
"""What the name of a page ends in, in each language."""

FORMULA, PARAMETERS, NONE = Text("公式", "Formula"), Text("参数", "Parameters"), Text("无", "none")
SOURCE, NO_DEFAULT = Text("出处", "Source"), Text("默认为无", "default none")
DEFAULT, MEANING = Text("默认值", "Default"), Text("含义", "Meaning")
ALL = Text("所有公式", "every formula")
KINDS_OF_METRICS: Mapping[Kind, Text] = {
    "counter": Text("计数器", "counter"),
    "gauge": Text("仪表", "gauge"),
    "histogram": Text("直方图", "histogram"),
}
IN_ATTENTION = Text("在 `/v1/attention` 中", "In `/v1/attention`")


def table(language: Language, titles: Iterable[Text], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a Markdown table, with blank lines around it."""
    head = [getattr(title, language) for title in titles]
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return ["", f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in escaped), ""]


def listed(names: Iterable[str], language: Language) -> str:
    """Return names as code, one behind the other; "none" without any."""
    return {"en": ", ", "zh": "、"}[language].join(f"`{name}`" for name in names) or getattr(NONE, language)


def sentences(parts: Iterable[str], language: Language) -> str:
    """Return sentences, one behind the other."""
    return {"en": " ", "zh": ""}[language].join(parts)


def see(stem: str, language: Language) -> str:
    """Return a sentence that leads from a page of the reference to another one below `docs`.

    :param stem: path of the other page, without its suffix.
    """
    text = (ROOT / "docs" / f"{stem}{SUFFIXES[language]}").read_text(encoding="utf-8")
    title = re.match(r"# (.+)\n", text)
    if title is None:
        raise ValueError(f"{stem}: expected a title in the first line; received none. Add one.")
    path = stem.removeprefix("reference/") if stem.startswith("reference/") else f"../{stem}"
    link = f"[{title[1]}]({path}{SUFFIXES[language]})"
    return {"en": f"See {link}.", "zh": f"见{link}。"}[language]


def _described(
    kind: Text, registry: Mapping[str, type[Described]], last: Text, remark: Callable[[Description], Text]
) -> Callable[[Language], list[str]]:
    """Return how to write the table of a registry: name, formula, parameters, and a remark."""

    def write(language: Language) -> list[str]:
        rows = (
            (
                f"`{name}`",
                member.description.plain,
                _parameters(member, language),
                getattr(remark(member.description), language),
            )
            for name, member in registry.items()
        )
        return table(language, (kind, FORMULA, PARAMETERS, last), rows)

    return write


def _parameters(member: type[Described], language: Language) -> str:
    described = [parameter_as_text(one, language) for one in parameters_of(member).values()]
    separator = {"en": "; ", "zh": "；"}[language]
    return separator.join(described) or getattr(NONE, language)


def parameter_as_text(one: Parameter, language: Language) -> str:
    """Return a parameter as a table names it: what it is, what it may be, and its default."""
    if one.axes:
        optional = {"en": " (optional)", "zh": "（可省略）"}[language]
        return f"`{one.name}` {one.symbol} [{', '.join(one.axes)}]{'' if one.required else optional}"
    default = [] if one.required else [getattr(one.default_clause or NO_DEFAULT, language)]
    if language == "zh":
        allowed = f"{one.symbol or '数值'} {one.condition}" if one.condition else "有限的数"
        return f"`{one.name}`：{'，'.join([one.zh, *([allowed] if one.kind == 'number' else []), *default])}"
    allowed = f"{one.symbol or 'a number'} {one.condition}" if one.condition else "a finite number"
    parts = [one.en[0].lower() + one.en[1:], *([allowed] if one.kind == "number" else []), *default]
    return f"`{one.name}`: {', '.join(parts)}"


def _masks(language: Language) -> list[str]:
    rows = (
        (
            f"`{name}`",
            listed(MASK_MEMBERS[name], language),
            getattr(mask.shows, language),
            f"`{mask.__name__}({', '.join(one.name for one in fields(mask) if not one.kw_only)})`",
        )
        for name, mask in MASKS.items()
    )
    condition = Text("查询 i 能看到键 j，当且仅当", "Key j is visible to query i if and only if")
    titles = (Text("掩码", "Mask"), Text("成员", "Members"), condition, Text("在 Python 中", "In Python"))
    return table(language, titles, rows)


def _inputs(language: Language) -> list[str]:
    rows = (
        (f"`{name}`", f"`{'.'.join(one.path)}`", ", ".join(f"`{datatype}`" for datatype in ACCEPTED[one.content]))
        for name, one in COMMON_INPUTS.items()
    )
    return table(language, (Text("输入", "Input"), IN_ATTENTION, Text("数据类型", "Datatypes")), rows)


def _scalars(language: Language) -> list[str]:
    rows = ((f"`{name}`", f"`{'.'.join(path)}`") for name, path in SCALARS.items())
    return table(language, (Text("`/v2` 的参数", "Parameter of `/v2`"), IN_ATTENTION), rows)


def _endpoints(language: Language) -> list[str]:
    rows = ((f"`POST {endpoint.path}`", getattr(endpoint.answer, language)) for endpoint in ENDPOINTS)
    return table(language, (Text("`/v1` 的计算接口", "Endpoint of `/v1` that computes"), Text("响应", "Answer")), rows)


MORE_ABOUT: Mapping[str, str] = {
    "POST /v2/models/{model}/infer": "reference/open-inference-protocol",
    "PUT /v1/memories/{name}": "how-to/memories",
    "GET /v1/expressions": "reference/formulas",
    "GET /v1/examples": "reference/examples",
    "GET /metrics": "reference/metrics",
    "GET /playground": "how-to/playground",
    "GET /problems": "reference/errors",
}
"""The page that says more about a route."""


def _routes(language: Language) -> list[str]:
    """Return the lines of the table of every route but those of `ENDPOINTS`."""
    rows = []
    for call, text in ROUTES.items():
        link = [see(MORE_ABOUT[call], language)] if call in MORE_ABOUT else []
        rows.append((f"`{call}`", sentences((getattr(text, language), *link), language)))
    return table(language, (Text("其他接口", "Other endpoint"), Text("响应", "Answer")), rows)


def _metrics(language: Language) -> list[str]:
    rows = (
        (
            f"`{one.name}`",
            getattr(KINDS_OF_METRICS[one.kind], language),
            listed(one.labels, language),
            getattr(one.about, language),
        )
        for one in FAMILIES
    )
    return table(language, (Text("指标", "Metric"), Text("类型", "Type"), Text("标签", "Labels"), MEANING), rows)


def _examples(language: Language) -> list[str]:
    rows = ((f"`{name}`", example.title[language]) for name, example in load_examples().items())
    return table(language, (Text("编号", "Id"), Text("标题", "Title")), rows)


def _representations(language: Language) -> list[str]:
    yes, no, weights = (
        getattr(text, language)
        for text in (
            Text("可以", "yes"),
            Text("不可以", "no"),
            Text("`/v1/attention` 的权重", "weights of `/v1/attention`"),
        )
    )
    rows = (
        (
            getattr(codec.title, language),
            f"`{codec.media_type}`",
            f"`{codec.suffix}`",
            no if codec.decode is None else yes,
            weights if codec.encode is None else yes,
        )
        for codec in CODECS.values()
    )
    titles = (
        Text("表示", "Representation"),
        Text("媒体类型", "Media type"),
        Text("文件", "Files"),
        Text("请求", "Requests"),
        Text("响应", "Answers"),
    )
    return table(language, titles, rows)


def _problems(language: Language) -> list[str]:
    rows = (
        (f"`{slug}`", str(int(problem.status)), getattr(problem.when, language)) for slug, problem in PROBLEMS.items()
    )
    return table(language, (Text("标识", "Slug"), Text("状态码", "Status"), Text("何时出现", "When")), rows)


def _mistakes(language: Language) -> list[str]:
    rows = ((f"`{name}`", getattr(ADVICE[name], language)) for name in MISTAKES)
    return table(language, (Text("可能的原因", "Likely cause"), Text("建议", "Advice")), rows)


def _tolerances(language: Language) -> list[str]:
    rows = ((f"`{name}`", f"`{one.relative}`", f"`{one.absolute}`") for name, one in DEFAULT_TOLERANCES.items())
    return table(language, (Text("数值类型", "Checked as"), Text("rtol", "rtol"), Text("atol", "atol")), rows)


def _settings(language: Language) -> list[str]:
    rows = (
        (setting_cell(name, language), default_cell(name, language), getattr(described(name), language))
        for name in Settings.model_fields
    )
    titles = (Text("环境变量", "Environment variable"), DEFAULT, MEANING)
    return table(language, titles, rows)


def setting_cell(name: str, language: Language) -> str:
    """Return the variable of a setting as a cell, and the flag of `serve` where there is one."""
    names = [our_variable(name), *([f"--{name.replace('_', '-')}"] if described(name).flag else [])]
    return listed(names, language)


def default_cell(name: str, language: Language) -> str:
    """Return the default of a setting as a cell; bytes in MiB as well."""
    shown = described(name).shown_default
    if shown is not None:
        return shown[language]
    default = Settings.model_fields[name].default
    if default in ((), None):
        return {"en": "none", "zh": "无"}[language]
    if default == "":
        return {"en": "empty", "zh": "空"}[language]
    return f"`{default}` ({default // MIB} MiB)" if "bytes" in name.split("_") else f"`{default}`"


def _language_of_formulas(language: Language) -> list[str]:
    """Return the lines of the table of everything that a formula may use."""
    rows = (
        (
            getattr(GROUPS[entry.group], language),
            f"`{entry.name}`",
            getattr(entry.meaning, language),
            f"`{entry.example}`",
            listed(entry.kinds, language) if entry.kinds != ANYWHERE else getattr(ALL, language),
        )
        for entry in LANGUAGE.values()
    )
    titles = (
        Text("类别", "Kind"),
        Text("写法", "Written"),
        MEANING,
        Text("例", "Example"),
        Text("可用于", "May stand in"),
    )
    return table(language, titles, rows)


def _alerts(language: Language) -> list[str]:
    """Return the lines of the table of alerts; each has a summary in both languages."""
    rules = [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]
    rows = (
        (f"`{rule['alert']}`", f"`{rule['labels']['severity']}`", rule["for"], _summary(rule, language))
        for rule in rules
    )
    titles = (Text("告警", "Alert"), Text("级别", "Severity"), Text("持续", "For"), MEANING)
    return table(language, titles, rows)


def _summary(rule: Mapping[str, Any], language: Language) -> str:
    """Return the summary of an alert in one language, with a word for the instance."""
    en, zh = rule["annotations"]["summary"].split(" · ")
    summary = {"en": en, "zh": zh}[language].replace("{{ $labels.instance }}", "the instance")
    return f"{summary[0].upper()}{summary[1:]}" + {"en": ".", "zh": "。"}[language]


def _source(description: Description) -> Text:
    return Text(description.source, description.source)


TABLES: dict[str, Callable[[Language], list[str]]] = {
    "score models": _described(Text("打分函数", "Score model"), SCORE_MODELS, SOURCE, _source),
    "normalizers": _described(
        Text("归一化方法", "Normalizer"), NORMALIZERS, Text("说明", "Note"), lambda description: description.summary
    ),
    "positions": _described(Text("位置编码", "Position"), POSITIONS, SOURCE, _source),
    "masks": _masks,
    "inputs of v2": _inputs,
    "parameters of v2": _scalars,
    "endpoints": _endpoints,
    "other endpoints": _routes,
    "worked examples": _examples,
    "metrics": _metrics,
    "representations": _representations,
    "problems": _problems,
    "mistakes": _mistakes,
    "tolerances": _tolerances,
    "settings": _settings,
    "language of formulas": _language_of_formulas,
    "alerts": _alerts,
}
"""Every table by name."""
