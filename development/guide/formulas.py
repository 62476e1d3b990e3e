"""Formulas as MathML, which browsers draw without scripts and fonts."""

from docutils.nodes import SkipNode, math, math_block
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

NAME = "mathml"


def add_renderer(app: Sphinx) -> None:
    """Register the renderer of formulas, under `NAME`."""
    app.add_html_math_renderer(NAME, (_write_in_line, None), (_write_block, None))


def _write_in_line(writer: HTML5Translator, node: math) -> None:
    writer.body.append(tex2mathml(node.astext()))
    raise SkipNode


def _write_block(writer: HTML5Translator, node: math_block) -> None:
    writer.body.append(tex2mathml(node.astext(), as_block=True))
    raise SkipNode
