"""What the report of a comparison shows, section by section."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdcn_tf.pages.content import Number, Section, Table
from kdcn_tf.report import charts, paper, tables
from kdcn_tf.report.notes import statistical, written
from kdcn_tf.report.runs import ABLATION, DCN, KDCN, percent
from kdcn_tf.training import metrics
from kdcn_tf.training.slices import ITEM_FREQUENCY, USER_FREQUENCY

Report = Mapping[str, Any]

_METRICS = {
    "auc": ("AUC", "max"), "gauc": ("AUC per session", "max"), "log_loss": ("log loss", "min"),
    "ndcg@5": ("NDCG@5", "max"), "ndcg@10": ("NDCG@10", "max"), "calibration": ("predicted / observed clicks", "one"),
}  # fmt: skip
"""Metric -> its name, and where its best is."""


def all_sections(report: Report) -> list[Section]:
    """Those that have something to show."""
    made = [
        _gains(report), _overall(report), _categories(report), _published(), _scarcity(report), _convergence(report),
        _cold(report), _calibration(report), _speed(report), _ablations(report),
        Section("What the intervals mean", items=statistical(report)), _settings(report),
    ]  # fmt: skip
    return [section for section in made if section is not None]


def _gains(report: Report) -> Section | None:
    full = [row for row in report["gains"] if row["fraction"] == 1]
    if not full:
        return None
    titles, parts = report["titles"], [part["name"] for part in report["parts"]]
    header = (
        "over",
        "points of AUC, over seeds",
        "seeds",
        "p",
        "over drawn test sets",
        "of them without gain",
        "verdict",
    )
    made = [
        Table(header, [
            (titles[row["over"]], tables.gain(row), row["seeds"], tables.p_value(row["p_value"]),
             tables.drawn(row["test"]), tables.share(row["test"]["share_not_above"]), row["verdict"])
            for row in full if row["part"] == part
        ], caption=f"On {part}: {size['rows']:,} test rows, {size['clicks']:,} clicks" if len(parts) > 1 else "")
        for part, size in zip(parts, report["parts"], strict=True)
    ]  # fmt: skip
    text = (
        f"How much better {titles[KDCN]} ranks, in points of AUC (a hundredth of the whole), with the 95% interval "
        "over seeds. Drawn test sets repeat the comparison on the same sessions, drawn anew with repetition."
    )
    return Section(f"What {titles[KDCN]} gains", text, made, [charts.gains(full, titles, parts)])


def _overall(report: Report) -> Section:
    models = list(report["titles"])
    columns = []
    for name, (_, best) in _METRICS.items():
        columns.append(tables.means([report["overall"][model].get(name) for model in models], best))
    rows = [(report["titles"][model], *cells) for model, *cells in zip(models, *columns, strict=True)]
    header = ("model", *(title for title, _ in _METRICS.values()))
    text = (
        "All test rows and all training rows. Below each mean: half of its 95% interval over seeds. The best is bold."
    )
    return Section("All metrics", text, [Table(header, rows)])


def _categories(report: Report) -> Section | None:
    found, titles = report["categories"], report["titles"]
    models = [model for model in titles if not model.startswith(ABLATION)]
    if not found["rows"] or not models:
        return None
    gained = found["gain"] is not None
    rows = [
        (row["name"], tables.known(row["train"]), tables.rows_of(row), *tables.means([row["auc"][m] for m in models]),
         *([tables.gain(row["gain"])] if gained else []))
        for row in found["rows"]
    ]  # fmt: skip
    rows.append(("Average of categories", "", "", *tables.means([found["average"][model] for model in models]),
                 *([tables.gain(found["gain"])] if gained else [])))  # fmt: skip
    published = [Number(f"{paper.AVERAGE[model]:.3f}") if model in paper.AVERAGE else "" for model in models]
    own = Number(f"+{100 * (paper.AVERAGE[KDCN] - paper.AVERAGE[DCN]):.1f}")
    rows.append(("The paper's average, on its own data", "", "", *published, *([own] if gained else [])))
    header = ("category", "training rows", "test rows", *(titles[model] for model in models),
              *_gain_header(gained))  # fmt: skip
    picture = charts.categories(found["rows"]) if gained else None
    return Section(
        "By category: the paper's tables I and II",
        "Rows of each category for training and testing, and the AUC of every model on them. " + _small(found),
        [Table(header, rows, summary_rows=2)],
        [picture] if picture else [],
    )


def _gain_header(gained: Any) -> list[str]:
    return ["gain over DCN, points"] if gained else []


def _small(found: Mapping[str, Any]) -> str:
    small, large = found["small"], found["large"]
    if not small or small["mean"] is None or large["mean"] is None:
        return ""
    return (
        f"In the {small['categories']} smallest categories the mean gain over DCN is {written(small)} points, in the "
        f"{large['categories']} largest {written(large)}."
    )


def _published() -> Section:
    names = list(paper.COLUMNS.values())
    rows = [
        (name, train, test, *(Number(f"{value:.3f}") for value in aucs), Number(f"{100 * (aucs[0] - aucs[1]):+.1f}"))
        for name, train, test, aucs in paper.ROWS
    ]
    average = [Number(f"{value:.3f}") for value in paper.AVERAGE.values()]
    rows.append(("Average, as printed", "", "", *average, Number("+1.2")))
    text = (
        "The paper's own numbers, on private data: they can be compared with each other, not with those above. "
        "No intervals were published. The mean of the rows printed for LR is 0.599, not 0.590. In an online test the "
        f"paper saw {paper.ONLINE_GAIN} over DCN; of what measure isn't said."
    )
    header = ("category", "training rows", "test rows", *names, "gain over DCN, points")
    return Section("What the paper published", text, [Table(header, rows, summary_rows=1)], folded=True)


def _scarcity(report: Report) -> Section | None:
    titles, pictures, made = report["titles"], [], []
    models = charts.drawn(list(titles))
    if len(report["fractions"]) < 2 or not models:
        return None
    for part in (part["name"] for part in report["parts"]):
        rows = [row for row in report["scarcity"] if row["part"] == part]
        gained = [row for row in report["gains"] if row["part"] == part and row["over"] == DCN][::-1]
        where = f" on {part}" if len(report["parts"]) > 1 else ""
        pictures.append(charts.scarcity(rows, gained, titles, models, where))
        by_fraction = {row["fraction"]: row for row in gained}
        header = ("share", "training rows", *(titles[model] for model in models), *_gain_header(gained))
        made.append(Table(header, [
            (Number(percent(row["fraction"])), tables.counted(row["train"]),
             *tables.means([row["auc"].get(model) for model in models]),
             *([tables.gain(by_fraction.get(row["fraction"]))] if gained else []))
            for row in rows
        ], caption=f"AUC{where}"))  # fmt: skip
    text = "AUC of models that saw a part of the training rows; the pretrained graph is the same for all of them."
    return Section("With less data: the scarcity curve", text, made, pictures)


def _convergence(report: Report) -> Section | None:
    picture = charts.convergence(report["curves"], report["titles"])
    if picture is None:
        return None
    titles = report["titles"]
    rows: list[tuple] = []
    for found in report["convergence"]:
        name = titles[found["to_best_of"]]
        rows += [
            (name, Number(str(one["seed"])), Number(f"{one['target']:.4f}"), tables.known(one["steps_of_other"]),
             tables.known(one["steps"], "not reached"), tables.ratio(one["ratio"]), tables.ratio(one["examples_ratio"]))
            for one in found["seeds"]
        ]  # fmt: skip
        reached = f"{found['reached']} of {len(found['seeds'])} seeds"
        rows.append((f"{name}, mean of seeds", "", "", "", reached,
                     *(tables.mean(found[which], "{:.2f}") for which in ("ratio", "examples_ratio"))))  # fmt: skip
    header = ("best of", "seed", "its best validation AUC", "its steps to it", f"steps of {titles.get(KDCN, KDCN)}",
              "ratio of steps", "ratio of examples")  # fmt: skip
    text = (
        "How soon a model with pretrained knowledge is as good on validation as another one ever gets. If a seed never "
        "gets there, the mean is undefined: leaving it out would flatter. Steps compare fairly where batches are of "
        "one size; the ratio of examples always does."
    )
    return Section("Convergence: the paper's figure 5", text, [Table(header, rows)] if rows else [], [picture])


def _cold(report: Report) -> Section | None:
    titles, pictures, made = report["titles"], [], []
    models = charts.drawn(list(titles))
    for column, what in ((USER_FREQUENCY, "user"), (ITEM_FREQUENCY, "item")):
        rows = report["slices"][column]
        if not rows or not models:
            continue
        gained = any(row["gain"] for row in rows)
        pictures.append(charts.buckets(rows, titles, charts.drawn(list(titles), 5), f"training rows of the {what}"))
        header = (f"rows of the {what}", "test rows", *(titles[model] for model in models),
                  *_gain_header(gained))  # fmt: skip
        made.append(Table(header, [
            (row["name"], tables.rows_of(row), *tables.means([row["auc"][model] for model in models]),
             *([tables.gain(row["gain"])] if gained else [])) for row in rows
        ], caption=f"AUC by the training rows of the {what}"))  # fmt: skip
    text = "Test rows by how often their user, or their candidate item, was seen in training; 0 is a cold start."
    return Section("Cold start", text, made, pictures) if made else None


def _calibration(report: Report) -> Section:
    titles, found = report["titles"], report["calibration"]
    errors = tables.means([report["overall"][model].get("calibration_error") for model in titles], "min")
    ratios = tables.means([report["overall"][model].get("calibration") for model in titles], "one")
    rows = [(titles[model], error, ratio) for model, error, ratio in zip(titles, errors, ratios, strict=True)]
    table = Table(("model", "calibration error", "predicted / observed clicks"), rows)
    shown = charts.drawn([model for model in titles if found[model]], 5)
    text = (
        "Whether a predicted probability of 20% means that 20% click. The error is the mean distance of the two in ten "
        "bins (expected calibration error)."
    )
    if not shown:
        return Section("Calibration", text, [table])
    bins = Table(("bin", *(titles[model] for model in shown)), [
        (Number(str(place + 1)), *(_bin(found[model], place) for model in shown)) for place in range(metrics.BINS)
    ], caption="Predicted probability by bin, and below it the share that was clicked")  # fmt: skip
    return Section("Calibration", text, [table, bins], [charts.calibration(found, titles, shown)])


def _bin(bins: Sequence[Mapping[str, Any]], place: int) -> Number | str:
    """Equal predictions share a bin, so that there may be less than ten."""
    return Number(f"{bins[place]['predicted']:.4f}", f"{bins[place]['clicked']:.4f}") if place < len(bins) else ""


def _speed(report: Report) -> Section:
    rows = [
        (report["titles"][model], tables.duration(cost["seconds"]), tables.mean(cost["examples_per_second"], "{:,.0f}"),
         tables.mean(cost["examples"], "{:,.0f}"), tables.counted(cost["parameters"], "not fixed"),
         tables.counted(cost["train"]), tables.mean(cost["valid_auc"]))
        for model, cost in report["cost"].items() if cost["train"]
    ]  # fmt: skip
    text = (
        "Training on all rows, a mean over seeds, without evaluation and compilation. Runs may have shared the "
        "machine, so these are no benchmark. Examples are counted in every pass."
    )
    header = ("model", "time", "examples/s", "examples", "parameters", "training rows", "best validation AUC")
    return Section("Training time", text, [Table(header, rows)])


def _ablations(report: Report) -> Section | None:
    gains: Sequence[Mapping[str, Any]] = [
        row for row in report["gains"]
        if row["over"] in report["ablations"] and row["fraction"] == 1 and row["part"] == report["parts"][0]["name"]
    ]  # fmt: skip
    if not gains:
        return None
    titles, overall = report["titles"], report["overall"]
    rows: list[tuple] = [
        (titles[KDCN], tables.mean(overall[KDCN]["auc"]), tables.mean(overall[KDCN]["log_loss"]), "", "", "")
    ]
    rows += [
        (titles[row["over"]], tables.mean(overall[row["over"]]["auc"]), tables.mean(overall[row["over"]]["log_loss"]),
         tables.gain(row), tables.p_value(row["p_value"]), row["verdict"])
        for row in gains
    ]  # fmt: skip
    header = ("model", "AUC", "log loss", "what the part gains, points", "p", "with the part")
    text = "K-DCN beside itself without one part, or with one choice undone, on all test rows."
    return Section("What each part brings", text, [Table(header, rows)])


def _settings(report: Report) -> Section:
    settings, dataset, titles = report["settings"], report["dataset"], report["titles"]
    rows = [(str(key), value) for key, value in settings.items() if key not in ("models", "command")]
    rows += [("seeds", ", ".join(map(str, report["seeds"])))]
    rows += [(f"dataset: {key}", value) for key, value in dataset.items() if key not in ("train", "rows")]
    rows += [(f"rows of {split}", Number(f"{number:,}")) for split, number in dataset.get("rows", {}).items()]
    options = [
        (titles.get(model, model), option, tables.shown(value))
        for model, given in settings.get("models", {}).items() for option, value in given.items()
    ]  # fmt: skip
    made = [Table(("", "value"), [(name, tables.shown(value)) for name, value in rows])]
    if options:
        made.append(Table(("model", "option", "value"), options, caption="Settings that differ from the defaults"))
    command = settings.get("command")
    text = f"Made by: {command}" if command else ""
    return Section("Settings, and how this was made", text, made)
