import re

import pytest

from kdcn_tf.pages import html, markdown, pictures
from kdcn_tf.pages.content import Card, Number, Page, Section, Table

NASTY = "<b>|`*_[x](y)&amp; $a_1$\nnext"


def page(*sections, **changes):
    return Page(**({"title": NASTY, "subtitle": NASTY, "sections": sections, "kicker": NASTY} | changes))


def test_long_tables_keep_the_rows_that_sum_up():
    table = Table(("name", "number"), [(f"row {number}", number) for number in range(60)], summary_rows=2)
    assert [row[1] for row in table.shown] == [*range(48), 58, 59]
    assert table.hidden == 10
    assert table.numeric == [False, True]
    for text in (
        html.render(page(Section("Long", tables=[table]))),
        markdown.render(page(Section("Long", tables=[table]))),
    ):
        assert b"10 more rows are in the JSON file." in text
        assert b"row 59" in text
        assert b"row 50" not in text


def test_texts_are_no_markup():
    section = Section(NASTY, NASTY, [Table((NASTY, "n"), [(NASTY, Number(NASTY, NASTY))], NASTY)], items=[NASTY])
    made = page(section, lead=[NASTY], cards=[Card(NASTY, NASTY, NASTY, "up", NASTY)])
    shown = html.render(made).decode()
    assert "<b>" not in shown
    assert shown.count("&lt;b&gt;|`*_[x](y)&amp;amp; $a_1$\nnext") >= 15
    text = markdown.render(made).decode()
    escaped = r"\<b\>\|\`\*\_\[x\](y)\&amp; \$a\_1\$ next"
    assert text.count(escaped) >= 15
    assert re.findall(r"(?<!\\)[<`*_\[$]", text.replace(f"**{escaped}**", "")) == []


def test_a_heat_map_has_its_numbers_in_coloured_cells():
    rows = [("男装", Number("0.25", heat=0.25), Number("1.00", heat=1.0)), (NASTY, Number("0.00", heat=0.0), "none")]
    heat_map, plain = Table(("word", "男装", NASTY), rows), Table(("word", "number"), [("男装", Number("0.25"))])
    assert (heat_map.heat_map, plain.heat_map) == (True, False)
    shown = html.render(page(Section("Map", tables=[heat_map, plain]))).decode()
    assert re.findall(r'<td class="n"(.*?)><span>(.*?)</span></td>', shown) == [
        (' style="--heat-share: 25.0%"', "0.25"), (' style="--heat-share: 100.0%"', "1.00"),
        (' style="--heat-share: 0.0%"', "0.00"), ("", "0.25"),
    ]  # fmt: skip
    assert re.findall(r'<div class="(.*?)"', shown) == ["scroll heat", "scroll"]
    assert "| 男装 | 0.25 | 1.00 |" in markdown.render(page(Section("Map", tables=[heat_map]))).decode()


def luminance(color: str) -> float:
    """Of #rrggbb, as WCAG defines it."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("place", [0, 1], ids=["light", "dark"])
def test_numbers_can_be_read_on_all_colours_of_a_heat_map(place):
    style = html.render(page()).decode()
    ink, heat, panel = (luminance(re.findall(rf"{name}: (#[0-9a-f]{{6}})", style)[place])
                        for name in ("--ink", "--heat", "--panel"))  # fmt: skip
    for ground in (heat, panel):  # all others lie between these two
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5


def drawn(name):
    figure, (axes,) = pictures.figure(2)
    axes.plot([0, 1], [1, 2], color=pictures.SERIES[1], label=pictures.label(name))
    axes.set_ylabel("y", color=pictures.INK)
    pictures.legend(axes)
    return pictures.svg(figure, "A line.").svg


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<i>&", "&lt;i&gt;&amp;"),
        ("$x$ costs $5", "$x$ costs $5"),
        ("男装", "男装"),
        ("a\nb", "a b"),
        ("x" * 50, "x" * 39 + "…"),
        ('style="#010200" <!-- xmlns="x"', 'style="#010200" &lt;!-- xmlns="x"'),
    ],
)
def test_pictures_show_names_as_they_are(name, shown):
    assert f">{shown}</text>" in drawn(name)


def test_pictures_take_colours_and_letters_from_the_page():
    svg = drawn("line")
    assert svg.startswith("<svg viewBox=")
    assert "var(--series-1)" in svg
    assert "var(--ink)" in svg
    assert not re.search(r"#0[0-9a-f]{5}|font-family|http|<style|<!--|DejaVu", svg)
    names = set(re.findall(r"var\((--[a-z0-9-]+)\)", svg))
    style = html.render(page()).decode()
    assert all(style.count(f"{name}: #") == 2 for name in names)  # light and dark
