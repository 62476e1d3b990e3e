"""Write the argument types, names and problems of `attention_client` out of the OpenAPI document.

``python -m development.client_schema`` writes `schema.py` and `names.json` of the client; ``make openapi`` runs it.
The names of the Open Inference Protocol are not in the document: they come from the vocabulary of its codec.
"""

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from service.codecs.open_inference.vocabulary import COMMON_INPUTS, NAMED_TENSORS, SCALARS
from service.schemas.attention import JSON_ONLY, UNIONS, VECTORS, AttentionRequest
from service.schemas.fields import request_fields

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "openapi" / "openapi.json"
CLIENT = ROOT / "attention_client"

POSITIONAL = ("query", "key", "value")
"""Fields of a request that are positional arguments of the client."""

REWORDED = (
    (": nested lists of numbers, rank", ", rank"),
    ("; `null` inside an array means −∞", "; −inf hides a key"),
    (r"Default `float64`\.", "Default that of query, key and value if they share one, else `float64`."),
    ("; an empty list returns metadata only", ""),
    (r"(?i)\bnull\b", "None"),
    (r"\btrue\b", "True"),
    (r"\bfalse\b", "False"),
)
"""Patterns of descriptions that speak of JSON and of the defaults of the service, and the words for the client."""

ARRAY_KINDS = {"booleans": "b", "numbers": "iuf"}
"""Kinds of NumPy types by what an input of the protocol holds."""

NUMBER_TYPES = {"number": "float", "integer": "int", "boolean": "bool", "null": "None"}
OTHER_TYPES = NUMBER_TYPES | {"string": "str", "object": "Mapping[str, Any]"}

TUPLES = {"MemoryReference": "tuple[str, str]"}
"""Objects in whose place the client takes a tuple of their members."""

CHINESE = re.compile("[\u3000-\u9fff\uff00-\uffef]")

WIDTH = 112

SCHEMA_HEAD = '''\
"""Types of arguments, as the OpenAPI document describes them.

Written by `python -m development.client_schema`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

from numpy.typing import ArrayLike'''

Schema = Mapping[str, Any]


def generate(document: Schema) -> dict[str, str]:
    """Return the content of each generated file for an OpenAPI document, by file name."""
    types = Types(document["components"]["schemas"])
    names = {
        "outputs": types.outputs,
        "places": list(types.places(types.options)),
        **inference_names(),
        "memory_name": document["components"]["schemas"]["MemoryReference"]["properties"]["name"]["pattern"],
        "problems": problems(document),
    }
    return {
        "schema.py": formatted([SCHEMA_HEAD, *types.definitions()]),
        "names.json": json.dumps(names, ensure_ascii=False, indent=1) + "\n",
    }


def formatted(code: Iterable[str]) -> str:
    """Return definitions as the code of one module, formatted by ruff."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(CLIENT / "schema.py"), "-"]
    text = "\n\n".join(code)
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout


class Types:
    """Python types of the schemas of a document."""

    def __init__(self, schemas: Schema) -> None:
        self.schemas = schemas
        self.code: dict[str, str] = {}
        """Definitions by name; those that a definition uses stand before it."""
        request, response = (schemas[name]["properties"] for name in ("AttentionRequest", "AttentionResponse"))
        self.options = {name: one for name, one in request.items() if name not in (*POSITIONAL, *JSON_ONLY)}
        """Schemas of the arguments beside query, key and value."""
        self.outputs: dict[str, tuple[str, ...]] = {}
        """Arrays that each field of a result returns."""
        for field in schemas["ResultField"]["enum"]:
            names = tuple(name for name in response if name == field or name.startswith(f"{field}_"))
            if all(self.is_array(response[name]) for name in names):
                self.outputs[field] = names

    def definitions(self) -> Iterable[str]:
        """Return the code of every type."""
        self.code["ResultField"] = constant("Field", literal(self.outputs), "Results that are arrays.")
        self.define("GradientField")
        without_include = {name: schema for name, schema in self.options.items() if name != "include"}
        self.write_class("GradientOptions", without_include, "`Options` without include.")
        description = "Arguments beside query, key and value; None is the default of the service."
        self.write_class("Options", self.options, description)
        return self.code.values()

    def define(self, name: str) -> str:
        """Write the definition of a schema if it is missing; return its name in Python."""
        schema = self.schemas[name]
        if name == "ResultField":
            return "Field"
        if name not in self.code:
            if "properties" in schema:
                self.write_class(name, schema["properties"], schema["description"], schema.get("required", ()))
            elif "enum" in schema:
                self.code[name] = constant(name, literal(schema["enum"]), schema["description"])
            else:
                classes = [self.define(each) for each in self.choices(schema).values()]
                union = " | ".join(("str", *classes, "Mapping[str, Any]"))
                self.code[name] = constant(name, union, schema["description"])
        return name

    def write_class(self, name: str, members: Schema, description: str, required: Collection[str] = ()) -> None:
        """Write a TypedDict for an object."""
        total = set(required) == set(members)
        lines = [f"class {name}(TypedDict{'' if total else ', total=False'}):", docstring(description)]
        for member, schema in members.items():
            union = " | ".join(dict.fromkeys(self.types(schema)))
            lines.append(f"{member}: {f'Required[{union}]' if member in required and not total else union}")
            if "description" in schema:
                lines.append(docstring(schema["description"]))
        self.code[name] = "\n    ".join("\n".join(lines).split("\n"))

    def types(self, schema: Schema) -> Iterator[str]:
        """Yield the types whose union a schema is; arrays of numbers have one type, whatever their rank."""
        if self.is_array(schema):
            yield "ArrayLike"
        elif "$ref" in schema:
            if reference(schema) != "NonFinite":  # a float in Python
                yield self.define(reference(schema))
            if reference(schema) in TUPLES:
                yield TUPLES[reference(schema)]
        elif "anyOf" in schema:
            for part in schema["anyOf"]:
                yield from self.types(part)
        elif "enum" in schema or "const" in schema:
            yield literal(schema["enum"] if "enum" in schema else [schema["const"]])
        elif schema.get("type") == "array":
            yield f"Sequence[{' | '.join(dict.fromkeys(self.types(schema['items'])))}]"
        else:
            yield OTHER_TYPES.get(schema.get("type", ""), "Any")

    def is_array(self, schema: Schema) -> bool:
        """Return whether a schema is that of nested lists of numbers or booleans."""
        if "$ref" in schema:
            return self.is_array(self.schemas[reference(schema)])
        if schema.get("type") == "array":
            item = schema["items"]  # {} below the deepest rank that is spelled out
            number = item.get("type") in NUMBER_TYPES or reference(item) == "ExtendedNumber"
            return not item or number or self.is_array(item)
        return "anyOf" in schema and all(map(self.is_array, schema["anyOf"]))

    @staticmethod
    def choices(schema: Schema) -> dict[str, str]:
        """Return the schemas of the objects to choose from, by the name of each object; empty if there is no choice."""
        objects = (part["discriminator"]["mapping"] for part in schema.get("anyOf", ()) if "discriminator" in part)
        return {name: reference({"$ref": path}) for mapping in objects for name, path in mapping.items()}

    def places(self, members: Schema, within: str = "") -> Iterator[str]:
        """Yield the place of each member, of the members of objects below, and of objects to choose from."""
        for name, schema in members.items():
            yield f"{within}{name}"
            for part in schema.get("anyOf", ()):
                target = self.schemas.get(reference(part), {})
                yield from self.places(target.get("properties", {}), f"{within}{name}.")
                for choice, chosen in self.choices(target).items():
                    yield f"{within}{name}.{choice}"
                    parameters = self.schemas[chosen]["properties"]
                    yield from (f"{within}{name}.{choice}.{one}" for one in parameters if one != "name")


def inference_names() -> dict[str, Any]:
    """Return the tables of inputs and parameters of the Open Inference Protocol, by their places in a request."""
    own = {".".join(one.path): (name, one) for name, one in COMMON_INPUTS.items() if name not in VECTORS}
    integers, booleans = (
        [path for path, (_, one) in own.items() if one.content == content] for content in ("integers", "booleans")
    )
    any_rank = {".".join(one.path) for one in request_fields(AttentionRequest) if one.tensor and one.tensor.is_any_rank}
    return {
        "unions": UNIONS,
        "vectors": VECTORS,
        "inputs": {path: name for path, (name, _) in own.items()},
        "integers": integers,
        "booleans": booleans,
        "any_rank": {path: ARRAY_KINDS[one.content] for path, (_, one) in own.items() if path in any_rank},
        "parameters": {".".join(path): name for name, path in SCALARS.items()},
        "named_tensors": [".".join(path) for path in NAMED_TENSORS.values()],
    }


def problems(document: Schema) -> dict[str, int]:
    """Return the status of each problem by its slug, out of the examples of every answer."""
    return {
        slug: example["value"]["status"]
        for path in document["paths"].values()
        for operation in path.values()
        for answer in operation["responses"].values()
        for content in answer.get("content", {}).values()
        for slug, example in content.get("examples", {}).items()
        if str(example["value"].get("type")).endswith(f"/problems/{slug}")
    }


def reference(schema: Schema) -> str:
    """Return the name of the schema that is referred to; empty without a reference."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def literal(values: Iterable[str]) -> str:
    """Return the type of some strings."""
    return f"Literal[{', '.join(map(json.dumps, values))}]"


def constant(name: str, value: str, description: str) -> str:
    """Return an assignment with its docstring."""
    return f"{name} = {value}\n{docstring(description)}"


def docstring(description: str) -> str:
    """Return the English part of a description in the words of Python, wrapped."""
    paragraphs = list(filter(None, map(english, description.split("\n\n"))))
    text = "\n\n".join(textwrap.fill(one, WIDTH, break_long_words=False, break_on_hyphens=False) for one in paragraphs)
    return f'"""{text}' + ('\n"""' if "\n" in text else '"""')


def english(paragraph: str) -> str:
    """Return the sentences before the first Chinese character."""
    found = CHINESE.search(paragraph)
    text = paragraph if found is None else paragraph[: paragraph.rfind(". ", 0, found.start()) + 1]
    for pattern, replacement in REWORDED:
        text = re.sub(pattern, replacement, text)
    return text


def main() -> None:
    """Write the files."""
    for name, code in generate(json.loads(DOCUMENT.read_text(encoding="utf-8"))).items():
        (CLIENT / name).write_text(code, encoding="utf-8")


if __name__ == "__main__":
    main()
