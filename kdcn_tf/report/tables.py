"""Numbers of a comparison as cells and tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdcn_tf.pages.content import Number
from kdcn_tf.report import verdict

UNDEFINED = "undefined"
Estimate = Mapping[str, Any]


def interval(estimate: Estimate, form: str) -> str:
    """ "0.65 to 0.67", or nothing where there is none."""
    if estimate["low"] is None or estimate["high"] is None:
        return ""
    return f"{form.format(estimate['low'])} to {form.format(estimate['high'])}"


def mean(estimate: Estimate | None, form: str = "{:.4f}", mark: str = "") -> Number | str:
    """A mean, and below it half of its interval's width."""
    if estimate is None:
        return ""
    if estimate["mean"] is None:
        return UNDEFINED
    spread = "" if estimate["low"] == estimate["high"] else f"± {form.format((estimate['high'] - estimate['low']) / 2)}"
    return Number(form.format(estimate["mean"]), spread, mark)


def gain(one: Estimate | None) -> Number | str:
    """A gain with its interval; marked where the interval leaves out 0."""
    if one is None:
        return ""
    if one["mean"] is None:
        return UNDEFINED
    if one["low"] is None:
        return Number(verdict.points(one["mean"]), "one seed")
    mark = "up" if one["low"] > 0 else "down" if one["high"] < 0 else ""
    return Number(verdict.points(one["mean"]), verdict.span(one), mark)


def drawn(one: Estimate) -> Number | str:
    """The interval of a gain over drawn test sets."""
    if one["low"] is None:
        return UNDEFINED
    return Number(verdict.span(one), mark="up" if one["low"] > 0 else "down" if one["high"] < 0 else "")


def means(estimates: Sequence[Estimate | None], best: str = "max", form: str = "{:.4f}") -> list[Number | str]:
    """Cells of numbers that compete; the best is marked. `best` is "max", "min", "one" (the nearest to 1) or ""."""
    order = {"max": lambda value: -value, "min": lambda value: value, "one": lambda value: abs(value - 1)}.get(best)
    known = [one["mean"] for one in estimates if one and one["mean"] is not None]
    first = min(known, key=order) if order and len(known) > 1 else None
    return [mean(one, form, "best" if one and one["mean"] is not None and one["mean"] == first else "")
            for one in estimates]  # fmt: skip


def p_value(value: float | None) -> Number | str:
    if value is None:
        return UNDEFINED
    return Number("< 0.001" if value < 0.001 else f"{value:.3f}")


def counted(values: Sequence[int], otherwise: str = "") -> Number | str:
    """Counts of several runs: one number if they agree, else from the least to the most."""
    if not values:
        return otherwise
    return Number(f"{values[0]:,}" if values[0] == values[-1] else f"{values[0]:,} to {values[-1]:,}")


def rows_of(part: Mapping[str, Any]) -> Number:
    """Test rows of a slice and their clicks; says so where they are few."""
    told = f"{part['clicks']:,} clicks" if part["clicks"] != 1 else "1 click"
    return Number(f"{part['rows']:,}", f"{told}: few" if part["few"] else told)


def duration(estimate: Estimate) -> Number | str:
    """Seconds as people say them."""
    seconds = estimate["mean"]
    if seconds is None:
        return UNDEFINED
    if seconds >= 3600:
        return Number(f"{seconds / 3600:.1f} h")
    return Number(f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s")


def share(value: float | None) -> Number | str:
    return UNDEFINED if value is None else Number(f"{100 * value:.1f}%")


def known(value: int | None, otherwise: str = "") -> Number | str:
    return otherwise if value is None else Number(f"{value:,}")


def ratio(value: float | None) -> Number | str:
    return UNDEFINED if value is None else Number(f"{value:.2f}")


def shown(value: Any) -> str:
    """A setting as people write it."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(shown, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {shown(one)}" for key, one in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
