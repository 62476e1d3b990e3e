"""How the search of the site splits texts: English into stems, Chinese into characters and pairs of them."""

import re
from collections.abc import Iterator

from sphinx.search.en import SearchEnglish

WORD = re.compile(r"([\u3400-\u9fff]+)|[^\W\u3400-\u9fff]+")


class MixedSearch(SearchEnglish):
    """Words of both languages in one index: pages in Chinese hold names and code in English.

    Chinese has no spaces.  A query of several characters finds the pages that have every pair of neighbours in it, one
    of a single character those that have the character: no dictionary decides what a word is, so none is missing.
    """

    lang = "mixed"
    # Sphinx makes the name of the stemmer's class from it.
    language_name = "English"

    # `splitQuery` is called by Sphinx.  Words are highlighted by their stems, not as pairs.
    js_splitter_code = r"""
var wordsOf = (query) =>
  query.match(/[\u3400-\u9fff]+|(?:(?![\u3400-\u9fff])[\p{Letter}\p{Number}_])+/gu) ?? [];
var splitQuery = (query) =>
  wordsOf(query).flatMap((word) =>
    /^[\u3400-\u9fff]{2,}$/.test(word) ? Array.from(word.slice(1), (next, index) => word[index] + next) : [word]);
{
  const parse = Search._parseQuery;
  Search._parseQuery = (query) => {
    const [typed, terms, excluded, , objects] = parse(query);
    const stemmer = new Stemmer();
    const shown = (word) => (word.startsWith(stemmer.stemWord(word)) ? stemmer.stemWord(word) : word);
    const highlighted = new Set(wordsOf(query.toLowerCase()).filter((word) => !stopwords.has(word)).map(shown));
    try {
      localStorage.setItem("sphinx_highlight_terms", [...highlighted].join(" "));
    } catch {
      // Where nothing may be stored, the pages found show no highlights.
    }
    return [typed, terms, excluded, highlighted, objects];
  };
}
"""

    def split(self, input: str) -> list[str]:  # noqa: A002 - the name is Sphinx's
        """Return the words of a text."""
        return list(_words(input))


def _words(text: str) -> Iterator[str]:
    for word in WORD.finditer(text):
        yield from word[0] if word[1] else [word[0]]
        if word[1]:
            yield from map("".join, zip(word[0], word[0][1:], strict=False))
