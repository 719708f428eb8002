"""Keywords of a text, by one pure function that the pipelines and the serving client share."""

import functools
import logging
import re
from collections.abc import Iterable

_LETTER = "[a-z0-9ß-öø-ɏ]"  # with accents: "amélie" is one word
_LATIN_WORD = re.compile(f"{_LETTER}+(?:['’-]{_LETTER}+)*")
_CJK = re.compile(r"[㐀-䶿一-鿿豈-﫿]{1,5000}")  # a longer run is no sentence; the cutter takes 0.5 kB per character
_TOKEN = re.compile(f"{_LATIN_WORD.pattern}|{_CJK.pattern}")

_ASCII_WORD = re.compile("[a-z0-9]+(?:['-][a-z0-9]+)*")
_ASCII_CASE = bytes(ord(c.lower()) if c.isascii() and (c.isalnum() or c in "'-") else 32 for c in map(chr, range(256)))
"""Translates letters to lower case, and what is no part of a word to spaces."""
_SHORT = 10_000  # of longer texts only the part that holds the first keywords is looked at

ENGLISH_STOP_WORDS = frozenset(
    """a about above after again all also am an and any are as at be because been before being below
    between both but by can could did do does doing don't down during each few for from further get had has
    have having he hello her here hers hey hi him his how i i'd i'll i'm i've if in into is isn't it it's
    its just let like ll me more most my no nor not now of off oh ok okay on once one only or other our out
    over own please really s same she should so some such t than thank thanks that that's the their them
    then there these they think this those through to too under until up us very was we well were what
    when where which while who whom why will with would yeah yes you you're your""".split()
)
CHINESE_STOP_WORDS = frozenset(
    """的 了 是 我 你 他 她 它 们 我们 你们 他们 这 那 这个 那个 有 没有 在 和 与 或 就 都 也 很 吗 呢 吧 啊 哦 呀
    请 请问 想 要 一个 一下 什么 怎么 可以 好 好的 不 没 对 给 把 被 让 到 从 还 再 会 能 说 看 去 来 上 下""".split()
)
_ASCII_STOPS = ENGLISH_STOP_WORDS | set("abcdefghijklmnopqrstuvwxyz0123456789")  # one character is no keyword


@functools.cache
def _chinese_cutter():
    import jieba  # 0.7 s to load its dictionary, so only where Chinese text comes up

    jieba.setLogLevel(logging.WARNING)
    cutter = jieba.Tokenizer()
    cutter.initialize()
    return cutter


def keywords(text: str, limit: int) -> list[str]:
    """Cuts the keywords of a text: lower case, without stop words, each once, in order.

    Args:
        text: English, Chinese or both.
        limit: keywords returned at the most.
    """
    if text.isascii() and len(text) <= _SHORT:
        return list(dict.fromkeys(_ascii_words(text)))[:limit]
    return unique(_words(text.lower()), limit)


def given_keywords(value: str | Iterable[str] | None, limit: int) -> list[str]:
    """Keywords of a field that holds a text, from which they are cut, or a list of them."""
    if isinstance(value, str):
        return keywords(value, limit)
    return unique(filter(None, (word.strip().lower() for word in value or ())), limit)


def unique(words: Iterable[str], limit: int) -> list[str]:
    """The first `limit` distinct words, in order."""
    found: dict[str, None] = {}
    for word in words:
        if len(found) == limit:
            break
        found.setdefault(word)
    return list(found)


def _ascii_words(text: str) -> list[str]:
    """What `_words` finds, several times as fast."""
    spaced = text.encode().translate(_ASCII_CASE).decode()
    marks = f" {spaced} ".replace("'", "-")
    loose = "- " in marks or " -" in marks or "--" in marks  # marks that don't stand between two letters
    words = _ASCII_WORD.findall(spaced) if loose else spaced.split()
    return [word for word in words if word not in _ASCII_STOPS]


def _words(text: str) -> Iterable[str]:
    for match in _TOKEN.finditer(text):
        token = match.group()
        if _CJK.match(token):
            yield from (w for w in _chinese_cutter().cut(token) if w not in CHINESE_STOP_WORDS)
        elif token.replace("’", "'") not in ENGLISH_STOP_WORDS and len(token) > 1:
            yield token
