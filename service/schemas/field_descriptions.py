"""Descriptions of fields in both languages, for the OpenAPI document and for the tables of the documentation."""

from attention_core.descriptions import Text


def as_code(name: str) -> Text:
    """Return a name of the wire as it stands in a sentence of either language."""
    return Text(f"`{name}`", f"`{name}`")


class FieldDescription(str):
    """The description of a field, as Pydantic takes it: a string, which is what the OpenAPI document shows.

    :param zh: what the field means, in Chinese, as sentences.
    :param en: the same in English.
    :param default: what the service takes where the field is absent; None where that is nothing.
    :param shape: of the array that the field holds; empty for no array, and for one whose text has it.
    """

    about: Text
    default: Text | None
    shape: str

    def __new__(cls, zh: str, en: str, *, default: Text | None = None, shape: str = "") -> "FieldDescription":
        """Write both languages into one string, the English first, with the default and the shape."""
        in_english = [en, *([f"Shape {shape}."] if shape else []), *([f"Default {default.en}."] if default else [])]
        in_chinese = f"{zh}默认为 {default.zh}。" if default else zh
        description = super().__new__(cls, " ".join((*in_english, in_chinese)))
        description.about, description.default, description.shape = Text(zh, en), default, shape
        return description

    def __getnewargs_ex__(self) -> tuple[tuple[str, str], dict[str, object]]:
        """Return the arguments of a copy."""
        return (self.about.zh, self.about.en), {"default": self.default, "shape": self.shape}
