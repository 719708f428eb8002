"""Film titles as two catalogues write them, brought to one form so that they can be joined."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

_YEAR = re.compile(r"\((\d{4})(?:\s*[-–]\s*\d{0,4})?\s*\)\s*$")
_PARENTHESES = re.compile(r"\([^()]*\)")
_ARTICLES = "the|a|an|le|la|les|l|el|los|las|il|lo|der|die|das|den|det|une|un"
_TRAILING_ARTICLE = re.compile(rf"^(.*),\s*((?:{_ARTICLES})'?)\s*$", re.IGNORECASE)
# In English only: "Die Hard" and "Den of Thieves" begin with no article.
_LEADING_ARTICLE = re.compile(r"^(?:the|a|an)\s+(?=\S)")
_NOT_WORD = re.compile(r"[^\w]+")


@dataclass(frozen=True)
class Title:
    """Attributes:
    name: normalised words.
    year: of release; empty where the catalogue gives none.
    """

    name: str
    year: str

    @property
    def key(self) -> str:
        return f"{self.name} ({self.year})" if self.year else self.name


def parse(text: str) -> Title:
    """Splits off the year and normalises the rest.

    Lower case without accents, punctuation, a leading English article or what stands in parentheses
    ("a.k.a. ...", the original title); "Mummy, The" is "The Mummy".
    """
    year = _YEAR.search(text)
    name = _YEAR.sub("", text)
    bare = _PARENTHESES.sub(" ", name).strip()
    name = _TRAILING_ARTICLE.sub(_article_first, bare or name.strip())
    plain = "".join(c for c in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(c))
    words = _NOT_WORD.sub(" ", plain.replace("&", " and ").replace("'", "").replace("’", "")).strip()
    return Title(_LEADING_ARTICLE.sub("", words) or words or text.strip(), year[1] if year else "")


def _article_first(found: re.Match) -> str:
    name, article = found.groups()
    return article + name if article.endswith("'") else f"{article} {name}"


def join_keys(titles: Iterable[Title]) -> dict[Title, str]:
    """Key of the film behind each title of all catalogues together.

    A title without a year is the only film of its name, where there is only one; else a film of its own.
    """
    years: dict[str, set[str]] = defaultdict(set)
    distinct = set(titles)
    for title in distinct:
        if title.year:
            years[title.name].add(title.year)
    found = {}
    for title in distinct:
        known = years[title.name]
        found[title] = Title(title.name, next(iter(known))).key if not title.year and len(known) == 1 else title.key
    return found
