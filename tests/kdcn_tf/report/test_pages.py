"""The report as files: whole, escaped, and asking nothing of a network."""

import json
import re

import numpy as np
import pytest
from support import comparison, libraries
from support.outline import Outline

from kdcn_tf.errors import ConfigError
from kdcn_tf.report import charts, pages
from kdcn_tf.report.runs import Judged, Run
from kdcn_tf.report.summary import summarise


def summary(runs, judged, **changes):
    given = {"titles": comparison.TITLES, "dataset": comparison.DATASET, "settings": comparison.SETTINGS} | changes
    return summarise(runs, judged, resamples=40, **given)


def written(directory, report):
    pages.write(report, str(directory))
    return (directory / "report.html").read_text(), (directory / "report.md").read_text()


@pytest.fixture(scope="module")
def report():
    return summary(*comparison.runs(1000), reference=comparison.REFERENCE)


@pytest.fixture(scope="module")
def directory(report, tmp_path_factory):
    made = tmp_path_factory.mktemp("report")
    assert pages.write(report, str(made)) == ["report.json", "report.md", "report.html"]
    return made


@pytest.fixture(scope="module")
def made(directory):
    return (directory / "report.html").read_text(), (directory / "report.md").read_text()


def test_the_page_is_whole_and_asks_no_network(made):
    page, _ = made
    found = Outline(page)
    assert found.tags.count("h1") == 1
    assert found.tags.count("svg") == found.tags.count("figure") == 9
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert not re.search(r"https?:|@import|javascript:", page)
    assert all(link.startswith("#") and link[1:] in found.ids for link in found.links)
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= set(found.ids)
    assert "default-src 'none'" in page


def test_names_from_data_are_text(made):
    page, text = made
    assert "<boots>" not in page
    assert "<made up>" not in page
    assert {"shoes | <boots>", "男装", "women's wear"} <= set(Outline(page).texts)
    assert r"shoes \| \<boots\>" in text
    assert not re.search(r"(?<!\\)<", text)


def test_the_page_holds_the_numbers(made, report):
    page, text = made
    gain = next(row for row in report["gains"] if row["over"] == "dcn" and row["part"] == "movielens")
    row = report["categories"]["rows"][0]
    texts = Outline(page).texts
    for shown in (f"{gain['mean']:+.2f}", f"{row['auc']['kdcn']['mean']:.4f}", "10,000", "0.652", "not fixed",
                  "K-DCN without dialogue", "finetune.learning_rate"):  # fmt: skip
        assert shown in texts, shown
        assert shown in text.replace("\\", ""), shown
    assert report["headline"] in page
    for title in ("All metrics", "With less data: the scarcity curve", "Cold start", "Calibration", "Training time",
                  "What each part brings", "What the intervals mean"):  # fmt: skip
        assert title in texts
        assert f"## {title}" in text


def test_rows_of_markdown_tables_have_the_cells_of_their_header(made):
    _, text = made
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(tables) > 12
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


def test_json_is_the_summary(directory, report):
    assert json.loads((directory / "report.json").read_text()) == report


def test_the_same_picture_is_the_same_text(report):
    first, second = (charts.convergence(report["curves"], report["titles"]) for _ in range(2))
    assert first == second


def test_what_is_undefined_is_said(tmp_path):
    # One class, one seed, one source, no category, no curve: hardly a number, and still a page.
    judged = Judged(
        np.zeros(4), np.arange(4), {"source": np.array(["$x_1$ <i>"] * 4), "user_frequency": np.repeat(["0", "10+"], 2)}
    )
    runs = [Run(model, fraction, 0, np.zeros(4)) for model in ("kdcn", "dcn") for fraction in (0.1, 1.0)]
    page, text = written(tmp_path, summary(runs, judged, dataset={}, settings={}, reference={"$x_1$ <i>": 0.9}))
    found = Outline(page)
    assert found.texts.count("undefined") > 10
    assert "undefined" in text
    assert "<i>" not in page
    assert not re.search(r"\bnan\b", page + text)


@pytest.mark.parametrize("models", [("lr",), ("kdcn",), ("kdcn", "gbdt"), ("dcn", "kdcn_no_pretraining")])
def test_a_report_of_fewer_models(tmp_path, models):
    page, _ = written(tmp_path, summary(*comparison.runs(200, (0, 1), (1.0,), models)))
    assert Outline(page).tags.count("h1") == 1
    told = "nothing is compared" if len(models) == 1 or "kdcn" not in models else "K-DCN"
    assert told in page


def test_a_report_of_ablations_alone(tmp_path):
    """No chart and no table of rivals has a line for one of them."""
    made = summary(*comparison.runs(200, (0, 1), (0.1, 1.0), ("kdcn_no_user_state", "kdcn_no_dialogue")))
    page, text = written(tmp_path, made)
    assert "svg" not in Outline(page).tags
    assert "K-DCN without dialogue" in text
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert "Calibration" in titles
    assert not {"Cold start", "With less data: the scarcity curve"} & set(titles)
    assert not [title for title in titles if title.startswith("By category")]


@pytest.mark.parametrize(
    ("library", "extra"), [("jinja2", "reports"), ("matplotlib", "reports"), ("scipy", "baselines")]
)
def test_a_missing_library_is_named(monkeypatch, library, extra):
    libraries.hide(monkeypatch, library)
    with pytest.raises(ConfigError, match=rf"reports need {library} .*pip install 'kdcn-tf\[{extra}\]'"):
        pages.check()
