"""What a comparison shows, in words that its intervals allow."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdcn_tf.report.runs import ABLATION, DCN, KDCN, NO_PRETRAINING, percent
from kdcn_tf.training.slices import ALL

BETTER, WORSE, UNSURE, ONE_SEED, UNDEFINED = "better", "worse", "no difference shown", "one seed", "undefined"
BETTER_HERE, WORSE_HERE = "better on these test rows", "worse on these test rows"
"""Seeds agree, but other test rows from the same source could turn it around, or nobody knows whether they could."""


def of(gain: Mapping[str, Any]) -> str:
    """The verdict on a gain of `summary`.

    Args:
        gain: `mean`, `low` and `high` over seeds, `test` with `low` and `high` over drawn test splits (None where
            they are undefined).
    """
    if gain["mean"] is None:
        return UNDEFINED
    if gain["low"] is None:
        return ONE_SEED
    low, high = gain["test"]["low"], gain["test"]["high"]
    if gain["low"] > 0:
        return BETTER if low is not None and low > 0 else BETTER_HERE
    if gain["high"] < 0:
        return WORSE if high is not None and high < 0 else WORSE_HERE
    return UNSURE


def _drawn(gain: Mapping[str, Any]) -> bool:
    return gain["test"]["low"] is not None


def points(value: float | None) -> str:
    """A gain with its sign, a minus as people write it."""
    if value is None:
        return "undefined"
    text = f"{value:+.2f}"
    return text.replace("-", "−") if float(text) else "0.00"


def span(gain: Mapping[str, Any]) -> str:
    """The interval of a gain."""
    return f"{points(gain['low'])} to {points(gain['high'])}"


def sentence(first: str, second: str, gain: Mapping[str, Any]) -> str:
    """One sentence on a gain; `first` and `second` are titles."""
    found, size = of(gain), f"{points(gain['mean'])} points of AUC"
    seeds = f"{span(gain)} over {gain['seeds']} seeds" if gain["low"] is not None else ""
    if found == UNDEFINED:
        return f"{first} and {second} can't be compared: the AUC is undefined, or they share no seed."
    if found == ONE_SEED:
        return f"{first} against {second}: {size} with one seed, which can't tell a gain from chance."
    if found == UNSURE:
        return f"No difference between {first} and {second} is shown: {size} ({seeds})."
    side = "better" if found in (BETTER, BETTER_HERE) else "worse"
    if found in (BETTER_HERE, WORSE_HERE):
        why = "but they are too few to say so of others"
        if not _drawn(gain):
            why = "but no interval over drawn test sets says so of others"
        return f"{first} ranks these test rows {side} than {second}, {size} ({seeds}), {why}."
    return f"{first} ranks {side} than {second}: {size} ({seeds})."


def headline(first: str, second: str, gains: Sequence[Mapping[str, Any]]) -> str:
    """What the comparison shows, in one sentence.

    Args:
        first: title of the model that the report is about.
        second: title of the one that it is measured by.
        gains: of each source, with its name as `part`; at least one.
    """
    if len(gains) == 1:
        return sentence(first, second, gains[0])
    alike: dict[tuple[str, bool], list[str]] = {}
    for place, gain in enumerate(gains):
        unit = " points of AUC" if place == 0 and gain["mean"] is not None else ""
        found = of(gain)
        few = found in (BETTER_HERE, WORSE_HERE) and _drawn(gain)
        alike.setdefault((found, few), []).append(f"{gain['part']} ({points(gain['mean'])}{unit})")
    clauses = [
        _ON[found].format(first=first, second=second, parts=_listed(parts), why=_FEW if few else _NOT_DRAWN)
        for (found, few), parts in alike.items()
    ]
    told = "; ".join(clauses)
    return f"{told[0].upper()}{told[1:]}."


_FEW = "whose test rows are too few to say so of others"
_NOT_DRAWN = "where no interval over drawn test sets says so of others"
_ON = {
    BETTER: "{first} ranks better than {second} on {parts}",
    WORSE: "{first} ranks worse than {second} on {parts}",
    UNSURE: "no difference between {first} and {second} is shown on {parts}",
    BETTER_HERE: "{first} ranks better than {second} on {parts}, {why}",
    WORSE_HERE: "{first} ranks worse than {second} on {parts}, {why}",
    ONE_SEED: "one seed, which can't tell a gain from chance, has {first} against {second} at {parts}",
    UNDEFINED: "{first} and {second} can't be compared on {parts}",
}


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def words(found: dict[str, Any]) -> tuple[str, list[str]]:
    """The headline, and sentences below it."""
    titles, full = found["titles"], [gain for gain in found["gains"] if gain["fraction"] == 1]
    if not full:
        return "K-DCN and another model didn't both run, so nothing is compared.", []
    others = {gain["over"] for gain in full}
    plain = [model for model in others if not model.startswith(ABLATION)] or sorted(others)
    strongest = max(plain, key=lambda model: (found["overall"][model]["auc"]["mean"] or 0, model))
    measured_by = DCN if DCN in others else strongest
    sources = [part["name"] for part in found["parts"] if part["name"] != ALL] or [ALL]
    own = [gain for gain in full if gain["over"] == measured_by and gain["part"] in sources]
    everywhere = "" if len(found["parts"]) == 1 else "On all sources: "
    told = [
        everywhere + sentence(titles[KDCN], titles[other], gain)
        for other in dict.fromkeys((measured_by if everywhere else "", strongest, NO_PRETRAINING))
        for gain in full
        if gain["over"] == other and gain["part"] == found["parts"][0]["name"]
        and (everywhere or other != measured_by)
    ]  # fmt: skip
    return headline(titles[KDCN], titles[measured_by], own), told + _findings(found, measured_by)


def _findings(found: dict[str, Any], measured_by: str) -> list[str]:
    titles, told = found["titles"], []
    first = found["parts"][0]["name"]
    scarce = [gain for gain in found["gains"] if gain["over"] == measured_by and gain["part"] == first][1:]
    if scarce:
        least = scarce[-1]
        told.append(f"With {percent(least['fraction'])} of the training rows: "
                    + sentence(titles[KDCN], titles[measured_by], least))  # fmt: skip
    for row in found["convergence"]:
        share = f"{row['reached']} of {len(row['seeds'])} seeds"
        if row["examples_ratio"]["mean"] is not None:
            share = f"{row['examples_ratio']['mean']:.2f} times the examples"  # steps differ in size
        told.append(f"{titles[KDCN]} reached the best validation AUC of {titles[row['to_best_of']]} in {share}.")
    for row in found["ceilings"]:
        if row["gap"]["mean"] is not None:
            told.append(f"On {row['part']} the best possible AUC is {row['best']:.4f}; {titles[KDCN]} is "
                        f"{row['gap']['mean']:.2f} points below it.")  # fmt: skip
    return told
