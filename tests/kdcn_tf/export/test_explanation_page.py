"""The explanation as a page: its numbers, in order, and names that stay text."""

import math
import re

import pytest
from support.outline import Outline

from kdcn_tf.export import explanation, explanation_page

NASTY = "<script>alert('a')</script>"


def body_of(words: list[tuple[str, str]], heads: list[list[list[float]]], **changes) -> dict:
    size = range(len(words))
    mean = [[sum(head[row][place] for head in heads) / len(heads) for place in size] for row in size]
    return {
        "row": 1234, "split": "test", "session": [], "probability": 0.5, "logit": 0.0, "clicked": True,
        "user": "a-pseudonym", "candidate": "i1", "categories": ["Sport"], "behaviors": {}, "statistics": {},
        "sample": 9,
        "query": [text for of, text in words if of == "query"], "title": [text for of, text in words if of == "title"],
        "changes": [{"group": "d", "label": "dialogue", "change": -0.1234, "mean": 2, "mean_size": 0.25}],
        "attention": {"keywords": [{"of": of, "text": text} for of, text in words], "mean": mean, "heads": heads},
    } | changes  # fmt: skip


def test_numbers_and_names_stand_in_their_tables():
    words = [("query", "红色"), ("title", "红色"), ("title", "a word " * 30 + "x" * 100)]
    heads = [[[1, 0, 0], [0.5, 0.25, 0.25], [0.125, 0.5, 0.375]], [[0, 1, 0], [0.5, 0.25, 0.25], [0, 0, 1]]]
    page = explanation_page.render(body_of(words, heads)).decode()
    found = Outline(page)
    assert [text for text in found.texts if text in ("dialogue", "-0.123", "+2.000", "0.250")] == [
        "dialogue", "-0.123", "+2.000", "0.250"]  # fmt: skip
    cells = re.findall(r'<td class="n" style="--heat-share: ([\d.]+)%"><span>([\d.]+)</span></td>', page)
    mean = [[0.5, 0.5, 0], [0.5, 0.25, 0.25], [0.0625, 0.25, 0.6875]]
    weights = [weight for table in (mean, *heads) for row in table for weight in row]
    assert [text for _, text in cells] == [f"{weight:.2f}" for weight in weights]
    assert [float(share) for share, _ in cells] == pytest.approx([100 * math.sqrt(w) for w in weights], abs=0.06)
    names = [f"{text} ({of})" for of, text in words]
    assert [text for text in found.texts if text in names] == 3 * [*names, *names]
    assert page.index("Mean of the heads") < page.index("<details>") < page.index("Head 1") < page.index("Head 2")
    assert found.tags.count("details") == 1


@pytest.mark.parametrize(
    ("attention", "reason"),
    [
        (None, explanation.NO_ATTENTION),
        ({"keywords": [], "mean": [], "heads": [[], []]}, explanation.NO_KEYWORDS),
    ],
)
def test_without_attention_the_page_says_why(attention, reason):
    page = explanation_page.render(body_of([], [[]], attention=attention)).decode()
    assert Outline(page).tags.count("table") == 1
    assert f"<p>{reason}</p>" in page
    assert "<details>" not in page


def test_names_cannot_break_the_page():
    change = {"group": NASTY, "label": f"behaviours: {NASTY}", "change": 0.0, "mean": 0.0, "mean_size": 0.0}
    page = explanation_page.render(
        body_of(
            [("query", NASTY), ("title", '"><td style="x">')], [[[1.0, 0.0], [0.0, 1.0]]], changes=[change],
            user="<b>", candidate="&", categories=["</p>"], behaviors={NASTY: [NASTY]}, statistics={NASTY: 1.0},
        )
    ).decode()  # fmt: skip
    found = Outline(page)
    assert "<script" not in page
    assert "<b>" not in page
    assert 'style="x"' not in page
    assert page.count("&lt;script&gt;") == 1 + 2 + 1 + 1 + 4  # query, behaviours, statistics, change, two heat maps
    assert "candidate &amp;, category &lt;/p&gt;" in page
    assert found.texts.count(f"{NASTY} (query)") == 4
    assert not {"script", "b", "link", "img", "iframe", "object"} & set(found.tags)
    assert not re.search(r"https?:|@import|javascript:|url\(", page)
    assert "default-src 'none'" in page
