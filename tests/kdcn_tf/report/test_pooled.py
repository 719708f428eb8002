"""Comparisons taken together, by hand."""

import copy

import pytest
from support import comparison

from kdcn_tf.errors import DataError
from kdcn_tf.report import pooled, pooled_page, statistics, verdict
from kdcn_tf.report.statistics import Estimate
from kdcn_tf.report.summary import summarise

T1 = 12.7062  # t(0.975, 1)


def test_standard_errors_are_added_in_squares():
    # Means of two runs each with standard errors 0.3 and 0.4: of the mean of both 0.5 / 2. Degrees of freedom by
    # Welch and Satterthwaite: 0.25^2 / (0.09^2 / 1 + 0.16^2 / 1) = 1.8546; t(0.975, 1.8546) = 4.6461.
    found = statistics.pooled(
        [Estimate(1.0, 1 - 0.3 * T1, 1 + 0.3 * T1, 2), Estimate(2.0, 2 - 0.4 * T1, 2 + 0.4 * T1, 2)]
    )
    assert (found.mean, found.number) == (1.5, 4)
    assert (found.low, found.high) == pytest.approx((1.5 - 0.25 * 4.6461, 1.5 + 0.25 * 4.6461), abs=1e-3)


def test_what_has_no_mean_or_no_interval():
    sure, single = Estimate(1.0, 1.0, 1.0, 3), Estimate(3.0, None, None, 1)
    assert statistics.pooled([sure, sure]) == Estimate(1.0, 1.0, 1.0, 6)
    assert statistics.pooled([sure, single]) == Estimate(2.0, None, None, 4)
    assert statistics.pooled([sure, Estimate(None)]) == Estimate(None, None, None, 3)
    assert statistics.pooled([]) == Estimate(None)


def test_drawn_test_sets_are_independent():
    # Half widths 3 and 4: of the mean 5 / 2.
    found = statistics.pooled_draws([(-3.0, 3.0), (0.0, 8.0)], 2.0)
    assert (found.low, found.high) == pytest.approx((-0.5, 4.5))
    assert statistics.pooled_draws([(-3.0, 3.0), (None, None)], 2.0).low is None
    assert statistics.pooled_draws([(-3.0, 3.0)], None).high is None


@pytest.fixture(scope="module")
def report():
    runs, judged = comparison.runs(rows=600, seeds=(0, 1), models=("kdcn", "kdcn_no_pretraining", "dcn", "lr"))
    settings = {"command": "kdcn compare", "models": {"kdcn": {"time.train_end": 5.0}, "dcn": {"kdcn.cross_layers": 2}}}
    given = {"titles": comparison.TITLES, "dataset": comparison.DATASET, "settings": settings, "resamples": 50}
    return summarise(runs, judged, **given)


def other(report, shift=0.0, without=None):
    """Another comparison: every gain larger by `shift`, and a model missing."""
    made = copy.deepcopy(report)
    made["dataset"]["fingerprint"] = "another"
    made["gains"] = [gain for gain in made["gains"] if gain["over"] != without]
    for gain in made["gains"]:
        gain |= {name: gain[name] + shift for name in ("mean", "low", "high")}
        gain["test"] |= {name: gain["test"][name] + shift for name in ("low", "high")}
    return made


def row(found, part="movielens", over="dcn", fraction=1.0):
    (gain,) = (g for g in found["gains"] if (g["part"], g["over"], g["fraction"]) == (part, over, fraction))
    return gain


def test_each_comparison_counts_the_same(report):
    found = pooled.pool({"a": report, "b": other(report, 3.0)})
    own, both = row(report), row(found)
    assert both["each"] == {"a": pytest.approx(own["mean"]), "b": pytest.approx(own["mean"] + 3)}
    assert both["mean"] == pytest.approx(own["mean"] + 1.5)
    # Two equal errors: the mean's is theirs over the root of 2, with 2 degrees of freedom in place of 1.
    width = (own["high"] - own["low"]) / T1 * 4.3027 / 2**0.5
    assert both["high"] - both["low"] == pytest.approx(width, rel=1e-4)
    # Two means 3 apart have a standard error of 1.5.
    assert both["comparisons"]["high"] == pytest.approx(both["mean"] + 1.5 * T1, abs=1e-3)
    drawn = (own["test"]["high"] - own["test"]["low"]) / 2**0.5
    assert both["test"]["high"] - both["test"]["low"] == pytest.approx(drawn)
    assert both["verdict"] == verdict.of(both)


def test_figures_have_a_comparisons_names(report):
    found = pooled.pool({"a": report, "b": other(report, 3.0)})
    assert set(report["figures"]) & set(found["figures"]) >= {
        "movielens_gain_over_dcn", "redial_gain_over_no_pretraining_at_10%_low", "convergence_ratio_in_examples",
    }  # fmt: skip
    gain = row(found, over="kdcn_no_pretraining", fraction=0.1)
    assert found["figures"]["movielens_gain_over_no_pretraining_at_10%"] == gain["mean"]
    assert found["figures"]["movielens_gain_over_no_pretraining_at_10%_comparisons_low"] == gain["comparisons"]["low"]
    assert found["figures"]["convergence_ratio"] == pytest.approx(report["figures"]["convergence_ratio"])
    (auc,) = (a for a in found["auc"] if (a["part"], a["model"], a["fraction"]) == ("redial", "lr", 0.01))
    (alone,) = (a for a in report["scarcity"] if (a["part"], a["fraction"]) == ("redial", 0.01))
    assert (auc["mean"], auc["number"]) == (pytest.approx(alone["auc"]["lr"]["mean"]), 4)


def test_it_says_what_is_left_out_and_what_differs(report):
    assert pooled.pool({"a": report, "b": other(report, 1.0)})["notes"] == []
    changed = other(report, without="lr")
    changed["settings"]["models"] = {"kdcn": {"time.train_end": 9.0}, "dcn": {"kdcn.cross_layers": 4}}
    found = pooled.pool({"a": report, "b": changed})
    assert not [gain for gain in found["gains"] if gain["over"] == "lr"]
    left_out, differs = found["notes"]
    assert left_out.startswith("Only a part of the comparisons, a among them, has lr on all at 100%")
    assert differs == "DCN hadn't the same kdcn.cross_layers in all comparisons."


def test_one_dataset_has_one_set_of_test_rows(report):
    found = pooled.pool({"a": report, "b": {**other(report, 3.0), "dataset": report["dataset"]}, "c": other(report)})
    assert found["notes"] == ["a and b are judged on the same test rows, so there is no interval over drawn test sets."]
    assert (row(found)["test"]["low"], row(found)["low"] is None) == (None, False)
    assert row(pooled.pool({"a": sure(report), "b": sure(report)}))["verdict"] == verdict.BETTER_HERE
    assert row(pooled.pool({"a": sure(report), "b": sure(other(report))}))["verdict"] == verdict.BETTER


def sure(report):
    """The same, with gains that both intervals are sure of."""
    made = copy.deepcopy(report)
    for gain in made["gains"]:
        gain |= {"mean": 2.0, "low": 1.9, "high": 2.1}
        gain["test"] |= {"low": 1.5, "high": 2.5}
    return made


def test_nothing_in_common(report):
    with pytest.raises(DataError, match="a, b: no model was compared with K-DCN in all of them"):
        pooled.pool({"a": report, "b": {**report, "gains": []}})


def test_the_page_shows_every_comparison(report):
    made = pooled_page.page(pooled.pool({"a": report, "b": other(report, 3.0)}))
    assert made.title.startswith("K-DCN ranks better than DCN")
    gains = made.sections[0].tables
    assert gains[0].caption == "On all, 100% of the training rows"
    assert len(gains) == 3 * 3
    assert list(gains[0].header[:4]) == ["over", "a", "b", "mean, over seeds"]
    (shown,) = (line for line in gains[3].rows if line[0] == "DCN")
    assert [str(cell) for cell in shown[1:3]] == [verdict.points(row(report)["mean"] + shift) for shift in (0, 3)]


def test_ablations_have_a_table_of_their_own():
    models = ("kdcn", "kdcn_no_pretraining", "kdcn_no_user_state", "dcn")
    runs, judged = comparison.runs(rows=600, seeds=(0, 1), fractions=(1.0,), models=models)
    report = summarise(runs, judged, titles=comparison.TITLES, dataset=comparison.DATASET, settings={}, resamples=50)
    found = pooled.pool({"a": report, "b": other(report, 3.0)})
    made = {section.title: section for section in pooled_page.page(found).sections}
    (shown,) = made["What each part brings"].tables
    assert [line[0] for line in shown.rows] == ["K-DCN without pretraining", "K-DCN without user state"]
    both = row(found, over="kdcn_no_user_state")
    cell = str(shown.rows[1][1 + 2 * found["parts"].index("movielens")])
    assert cell.startswith(f"{verdict.points(both['mean'])} (")
    rivals = {line[0] for table in made["What K-DCN gains"].tables for line in table.rows}
    assert rivals == {"K-DCN without pretraining", "DCN"}


def test_without_ablations_there_is_no_table_of_them(report):
    made = pooled_page.page(pooled.pool({"a": report, "b": other(report, 3.0)}))
    assert "What each part brings" not in {section.title for section in made.sections}
