"""A comparison as files: report.json, report.md and report.html."""

import json
from collections.abc import Mapping
from typing import Any

from kdcn_tf import extras, files
from kdcn_tf.pages import html, markdown
from kdcn_tf.pages.content import Card, Page
from kdcn_tf.report import sections, verdict
from kdcn_tf.report.runs import DCN, NO_PRETRAINING, percent
from kdcn_tf.report.tables import interval

JSON_FILE, MARKDOWN_FILE, HTML_FILE = "report.json", "report.md", "report.html"
_TONES = {verdict.BETTER: "up", verdict.WORSE: "down"}


def check() -> None:
    """Checks that a report can be written, before hours of training.

    Raises:
        ConfigError: a library isn't installed.
    """
    extras.check(*extras.PAGES, "scipy.special")


def write(report: Mapping[str, Any], directory: str) -> list[str]:
    """Writes a summary as JSON, as Markdown and as one HTML file without a network.

    Args:
        report: what `summary.summarise` gave.
        directory: where to; it has to be there.

    Returns:
        Names of the files.

    Raises:
        ConfigError: a library isn't installed, or the directory can't be written to.
    """
    return write_page(page(report), report, directory)


def write_page(made: Page, content: Mapping[str, Any], directory: str) -> list[str]:
    """Like `write`, of a page that is made already."""
    parts = {
        JSON_FILE: (json.dumps(content, indent=1, allow_nan=False) + "\n").encode(),
        MARKDOWN_FILE: markdown.render(made),
        HTML_FILE: html.render(made),
    }
    for name, data in parts.items():
        files.write_atomic(files.join(directory, name), data)
    return list(parts)


def page(report: Mapping[str, Any]) -> Page:
    """The report as content."""
    test, seeds = report["test"], len(report["seeds"])
    subtitle = (
        f"{len(report['titles'])} models, {_number(seeds, 'seed')}, judged on {_number(test['rows'], 'test row')} of "
        f"{_number(test['sessions'], 'session')}, {test['clicks']:,} of them clicks."
    )
    name = report["dataset"].get("name")
    return Page(
        report["headline"],
        subtitle,
        sections.all_sections(report),
        kicker=f"Comparison on {name}" if name else "Comparison",
        lead=report["findings"],
        cards=_cards(report),
    )


def _number(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _cards(report: Mapping[str, Any]) -> list[Card]:
    """Gains over the models that the claim is about, then how fast and how far."""
    parts = [part["name"] for part in report["parts"]]
    shown, cards = [name for name in parts if len(parts) == 1 or name != parts[0]], []
    smaller = [fraction for fraction in report["fractions"] if fraction <= 0.1]
    fractions = [1.0, *smaller[-1:]]  # 10% of the rows, or what comes nearest below
    for part in shown[:4]:
        for fraction in fractions:
            for other in (DCN, "gbdt", NO_PRETRAINING) if fraction == 1 else (DCN,):
                where = (part, fraction, other)
                found = [gain for gain in report["gains"] if (gain["part"], gain["fraction"], gain["over"]) == where]
                cards += [gain_card(report, gain, len(shown) > 1) for gain in found]
    for row in report["convergence"]:
        if row["to_best_of"] == DCN:
            cards.append(_pace_card(row))
    for row in report["ceilings"]:
        gap = row["gap"]
        value = "undefined" if gap["mean"] is None else f"{gap['mean']:.2f} points"
        cards.append(Card(f"Below the best possible AUC on {row['part']}", value, interval(gap, "{:.2f}")))
    return cards


def gain_card(report: Mapping[str, Any], gain: Mapping[str, Any], several: bool) -> Card:
    """A gain as a key figure; `several`: there are several parts, so it says which."""
    where = f" on {gain['part']}" if several else ""
    at = "" if gain["fraction"] == 1 else f", {percent(gain['fraction'])} of the rows"
    told = gain["verdict"]
    note = verdict.span(gain) if gain["low"] is not None else "no interval"
    unit = "" if gain["mean"] is None else " points"
    return Card(f"AUC gained over {report['titles'][gain['over']]}{where}{at}", verdict.points(gain["mean"]) + unit,
                note, _TONES.get(told, "flat"), told)  # fmt: skip


def _pace_card(row: Mapping[str, Any]) -> Card:
    label, ratio, number = "Examples to DCN's best validation AUC, over DCN's", row["examples_ratio"], len(row["seeds"])
    if ratio["mean"] is None:
        return Card(label, "undefined", f"reached in {row['reached']} of {_number(number, 'seed')}")
    tone, word = "flat", "no difference shown" if ratio["low"] is not None else verdict.ONE_SEED
    if ratio["low"] is not None and (ratio["high"] < 1 or ratio["low"] > 1):
        tone, word = ("up", "faster") if ratio["high"] < 1 else ("down", "slower")
    return Card(label, f"{ratio['mean']:.2f}", interval(ratio, "{:.2f}"), tone, word)
