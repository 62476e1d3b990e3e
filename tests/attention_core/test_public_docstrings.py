"""Every public name of the core documents its parameters, fields, result and errors."""

import ast
import inspect
import textwrap
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import attention_core
from attention_core.descriptions import Described, parameters_of

PUBLIC = {name: getattr(attention_core, name) for name in attention_core.__all__}
FUNCTIONS = {name: member for name, member in PUBLIC.items() if inspect.isfunction(member)}
CLASSES = {name: member for name, member in PUBLIC.items() if inspect.isclass(member)}
DATACLASSES = {name: member for name, member in CLASSES.items() if is_dataclass(member)}

REGISTRIES = {"MASKS", "NORMALIZERS", "POSITIONS", "SCORE_MODELS"}
NUMPY_TYPES = {"BFLOAT16"}

UNDOCUMENTED = {"self", "cls"}


def documented_parameters(doc):
    """The names after ``:param``, each with its text."""
    parts = (doc or "").split(":param ")[1:]
    return {part.split(":", 1)[0]: " ".join(part.split(":", 1)[1].split("\n\n")[0].split()) for part in parts}


def public_methods():
    """Functions that a class defines itself, by qualified name."""
    for name, kind in CLASSES.items():
        for member in vars(kind).values():
            function = getattr(member, "__func__", member)
            is_own = inspect.isfunction(function) and function.__module__ == kind.__module__
            if is_own and not function.__name__.startswith("_"):
                yield pytest.param(function, id=f"{name}.{function.__name__}")


def test_no_function_documents_a_parameter_that_it_does_not_take():
    for path in Path(attention_core.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                taken = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
                assert documented_parameters(ast.get_docstring(node)).keys() <= taken, f"{path}: {node.name}"


def test_the_public_names_are_functions_classes_registries_and_types_of_numpy():
    others = PUBLIC.keys() - FUNCTIONS.keys() - CLASSES.keys()
    assert others == REGISTRIES | NUMPY_TYPES
    assert len(FUNCTIONS) + len(CLASSES) > 40


@pytest.mark.parametrize("name", sorted(PUBLIC.keys() - REGISTRIES - NUMPY_TYPES))
def test_a_public_name_has_a_docstring_of_its_own(name):
    doc = PUBLIC[name].__doc__ or ""
    assert doc.splitlines()[0].endswith((".", ":"))
    assert not doc.startswith(f"{name}("), "a dataclass without a docstring gets its signature"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_lists_every_parameter_its_result_and_its_errors(name):
    function, doc = FUNCTIONS[name], FUNCTIONS[name].__doc__
    parameters = inspect.signature(function).parameters
    documented = documented_parameters(doc)
    assert list(documented) == list(parameters)
    assert all(documented.values())
    for parameter in parameters.values():
        # A parameter that may be left out says what happens then.
        if parameter.default is not inspect.Parameter.empty:
            assert "default" in documented[parameter.name].lower(), parameter.name
    assert "Return" in doc
    assert "Raises" in doc or name == "predict"


@pytest.mark.parametrize("method", list(public_methods()))
def test_a_public_method_has_a_docstring_that_lists_parameters_if_any(method):
    doc = method.__doc__
    assert doc, method.__qualname__
    documented = documented_parameters(doc)
    if documented:
        assert list(documented) == [name for name in inspect.signature(method).parameters if name not in UNDOCUMENTED]


@pytest.mark.parametrize("name", DATACLASSES)
def test_every_field_of_a_public_dataclass_has_a_docstring(name):
    """A string after the field, its name in the docstring of its class, or its description as a parameter."""
    kind = DATACLASSES[name]
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    documented = set()
    for statement, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr):
            documented.add(statement.target.id)
    doc = kind.__doc__
    documented |= set(parameters_of(kind)) if issubclass(kind, Described) else set()
    missing = [field.name for field in fields(kind) if field.name not in documented and field.name not in doc]
    assert missing == []
