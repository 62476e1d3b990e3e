"""Build the documentation site from the pages of the project: ``python -m development.guide`` in `.venv-docs`.

`docs/adr/0010-documentation-generator.md` says why it is Sphinx, and why the search splits Chinese into pairs.
"""
