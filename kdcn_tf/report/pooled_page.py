"""A pool of comparisons as a page."""

from collections.abc import Mapping
from typing import Any

from kdcn_tf.pages.content import Number, Page, Section, Table
from kdcn_tf.report import pages, tables, verdict
from kdcn_tf.report.runs import ABLATION, DCN, KDCN, NO_PRETRAINING, percent
from kdcn_tf.training.slices import ALL

Report = Mapping[str, Any]

_NOTES = (
    "Every comparison counts the same, however many test rows it has.",
    "The interval over seeds holds the chance of training alone, as a comparison's does: standard errors are added in "
    "squares, degrees of freedom are Welch's and Satterthwaite's.",
    "The interval over drawn test sets holds how far other test sessions would move the mean. It takes the test rows "
    "of the comparisons to be different ones, and the means to be spread normally.",
    "The interval over comparisons is Student's t of their own means: it holds chance and how much the comparisons "
    "differ, so it tells most, and it is wide where they are few.",
    "Comparisons on which settings were chosen are kind to the model that they were chosen for.",
)


def page(report: Report) -> Page:
    """The page of what `pooled.pool` found."""
    names = list(report["comparisons"])
    sources = [part for part in report["parts"] if part != ALL] or [ALL]
    shown = [1.0, *[fraction for fraction in report["fractions"] if fraction <= 0.1][:1]]
    cards = [
        pages.gain_card(report, gain, len(sources) > 1)
        for gain in report["gains"]
        if gain["part"] in sources and gain["fraction"] in shown and gain["over"] in (DCN, "gbdt", NO_PRETRAINING)
    ]
    made = [_gains(report), _auc(report), _convergence(report), _ablations(report)]
    made.append(Section("What the intervals mean", items=_NOTES))
    made += [Section("What is left out or differs", items=report["notes"])] if report["notes"] else []
    made.append(_comparisons(report))
    subtitle = f"{len(names)} comparisons, each counting the same: {', '.join(names)}."
    return Page(
        report["headline"],
        subtitle,
        [section for section in made if section is not None],
        kicker="Comparisons taken together",
        cards=cards,
    )


def _gains(report: Report) -> Section:
    titles, names = report["titles"], list(report["comparisons"])
    header = (
        "over", *names, "mean, over seeds", "over comparisons", "over drawn test sets", "verdict",
    )  # fmt: skip
    made = []
    for part in report["parts"]:
        for fraction in sorted(report["fractions"], reverse=True):
            rows = [
                (titles[gain["over"]], *(_alone(gain["each"][name]) for name in names), tables.gain(gain),
                 tables.drawn(gain["comparisons"]), tables.drawn(gain["test"]), gain["verdict"])
                for gain in report["gains"]
                if (gain["part"], gain["fraction"]) == (part, fraction) and not _is_ablation(gain["over"])
            ]  # fmt: skip
            if rows:
                made.append(Table(header, rows, caption=f"On {part}, {percent(fraction)} of the training rows"))
    text = f"Points of AUC by which {titles[KDCN]} ranks better, in each comparison, and their mean."
    return Section(f"What {titles[KDCN]} gains", text, made)


def _is_ablation(model: str) -> bool:
    """K-DCN without pretraining is a rival too, and stays beside the others."""
    return model.startswith(ABLATION) and model != NO_PRETRAINING


def _alone(value: float | None) -> Number | str:
    return tables.UNDEFINED if value is None else Number(verdict.points(value))


def _auc(report: Report) -> Section:
    fractions, made = sorted(report["fractions"], reverse=True), []
    for part in report["parts"]:
        found = {(row["model"], row["fraction"]): row for row in report["auc"] if row["part"] == part}
        columns = [tables.means([found.get((model, fraction)) for model in report["titles"]]) for fraction in fractions]
        rows = [
            (title, *cells) for title, *cells in zip(report["titles"].values(), *columns, strict=True) if any(cells)
        ]
        made.append(Table(("model", *(percent(one) for one in fractions)), rows, caption=f"AUC on {part}"))
    text = "Means over the comparisons, by the share of the training rows; below each, half of its interval over seeds."
    return Section("AUC", text, made)


def _convergence(report: Report) -> Section | None:
    rows = [
        (report["titles"][row["to_best_of"]], *(_ratio(row[name]) for name in ("ratio", "examples_ratio")))
        for row in report["convergence"]
    ]
    text = f"What {report['titles'][KDCN]} needs to the best validation AUC of another model, over what that one needs."
    return Section("Convergence", text, [Table(("best of", "steps", "examples"), rows)]) if rows else None


def _ablations(report: Report) -> Section | None:
    undone = {
        (gain["over"], gain["part"]): gain
        for gain in report["gains"] if gain["fraction"] == 1 and gain["over"].startswith(ABLATION)
    }  # fmt: skip
    models = [model for model in report["titles"] if any(model == over for over, _ in undone)]
    if not any(map(_is_ablation, models)):
        return None
    rows = [
        (report["titles"][model], *(cell for part in report["parts"] for cell in _undone(undone.get((model, part)))))
        for model in models
    ]
    header = ("model", *(title for part in report["parts"] for title in (f"{part}, over seeds", "over comparisons")))
    text = (
        f"{report['titles'][KDCN]} beside itself without one part, or with one choice undone, on all training rows: "
        "points of AUC that the part brings."
    )
    return Section("What each part brings", text, [Table(header, rows)])


def _undone(gain: Mapping[str, Any] | None) -> tuple[Number | str, Number | str]:
    return (tables.gain(gain), tables.drawn(gain["comparisons"])) if gain else ("", "")


def _ratio(estimate: Mapping[str, Any]) -> Number | str:
    if estimate["mean"] is None:
        return tables.UNDEFINED
    return Number(f"{estimate['mean']:.2f}", tables.interval(estimate, "{:.2f}"))


def _comparisons(report: Report) -> Section:
    rows = [
        (name, one["name"] or "", Number(str(len(one["seeds"]))), part, Number(f"{size['rows']:,}"),
         Number(f"{size['clicks']:,}"), one["command"] or "")
        for name, one in report["comparisons"].items() for part, size in one["test"].items()
    ]  # fmt: skip
    header = ("comparison", "dataset", "seeds", "part", "test rows", "clicks", "made by")
    return Section("The comparisons", tables=[Table(header, rows)])
