"""The numbers of a comparison, on six test rows that are counted by hand, and the words about them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support import comparison

from kdcn_tf.errors import DataError
from kdcn_tf.report import verdict
from kdcn_tf.report.runs import Judged, Run
from kdcn_tf.report.summary import summarise

LN3 = np.log(3.0)
TITLES = {"kdcn": "K-DCN", "kdcn_no_pretraining": "without", "dcn": "DCN", "lr": "LR"}
# Source A holds four rows, B two without a click. Categories: x is rows 0, 1, 4, y is 2, 3, 5.
TEST = Judged(
    np.array([1, 0, 1, 0, 0, 0]),
    np.array([1, 1, 2, 2, 3, 3]),
    {"source": np.array(list("AAAABB")), "category": np.array(list("xxyyxy")),
     "user_frequency": np.array(["10+", "10+", "0", "0", "1-2", "3-9"])},
)  # fmt: skip
#             on A               on all rows
# kdcn   0    1                  1
#        1    3 of 4 pairs       7 of 8: 2 loses to 3 alone
# dcn    0    1 of 4 pairs       5 of 8: 1 beats two, 3 beats three
#        1    ties alone: 0.5    0.5
LOGITS = {
    ("kdcn", 0): [4, 1, 3, 2, 0, 0], ("kdcn", 1): [4, 3, 2, 1, 0, 0],
    ("dcn", 0): [1, 2, 3, 4, 0, 0], ("dcn", 1): [0, 0, 0, 0, 0, 0],
}  # fmt: skip


def points(*pairs, batch=1):
    return tuple({"step": step, "examples": batch * step, "auc": auc, "log_loss": 0.5} for step, auc in pairs)


CURVES = {
    ("kdcn", 0): points((10, 0.6), (20, 0.7), batch=2), ("kdcn", 1): points((10, None), (20, 0.7), batch=2),
    ("dcn", 0): points((10, 0.5), (40, 0.6), (50, 0.59)), ("dcn", 1): points((10, 0.6), (30, 0.65)),
}  # fmt: skip


def tiny(model, seed, **changes):
    made = {"logits": np.array(LOGITS[model, seed], np.float64), "curve": CURVES[model, seed], "seconds": 2.0,
            "examples": 300 + 200 * seed, "parameters": 7, "rows": 110, "valid_auc": 0.7}  # fmt: skip
    return Run(model, 1.0, seed, **(made | changes))


RUNS = [tiny(*key) for key in LOGITS]
DATASET = {"name": "tiny", "train": {"category": {"x": 100, "y": 10}}}


def summary(runs=RUNS, judged=TEST, **changes):
    given = {"titles": TITLES, "dataset": DATASET, "settings": {}, "reference": {}, "resamples": 64} | changes
    return summarise(runs, judged, **given)


@pytest.fixture(scope="module")
def found():
    return summary(reference={"A": 0.95})


def test_gains_over_seeds(found):
    figures = found["figures"]
    # On A 75 and 25 points: mean 50, standard error 25, t(0.975, 1) = 12.7062; t = 2 gives p = 0.2952.
    assert figures["A_gain_over_dcn"] == pytest.approx(50)
    assert figures["A_gain_over_dcn_low"] == pytest.approx(50 - 25 * 12.7062, abs=1e-3)
    assert figures["A_gain_over_dcn_high"] == pytest.approx(50 + 25 * 12.7062, abs=1e-3)
    (gain,) = [row for row in found["gains"] if row["part"] == "A"]
    assert (gain["p_value"], gain["seeds"], gain["verdict"]) == (pytest.approx(0.2952, abs=1e-4), 2, verdict.UNSURE)
    # On all rows twice 37.5, so that seeds say nothing against it, and p is undefined.
    (gain,) = [row for row in found["gains"] if row["part"] == "all"]
    assert (gain["mean"], gain["low"], gain["high"], gain["p_value"]) == (37.5, 37.5, 37.5, None)


def test_a_source_of_one_class_is_undefined(found):
    assert [found["figures"][f"B_gain_over_dcn{end}"] for end in ("", "_low", "_high")] == [None, None, None]
    assert [part["name"] for part in found["parts"]] == ["all", "A", "B"]
    assert found["headline"] == (
        "No difference between K-DCN and DCN is shown on A (+50.00 points of AUC); "
        "K-DCN and DCN can't be compared on B (undefined)."
    )


def test_the_gap_to_the_best_possible(found):
    # 0.95 - 1 and 0.95 - 0.75: -5 and 20 points.
    assert found["figures"]["A_ceiling_gap"] == pytest.approx(7.5)


def test_all_metrics(found):
    overall = found["overall"]["kdcn"]
    assert overall["auc"]["mean"] == pytest.approx((1 + 7 / 8) / 2)
    assert overall["click_rate"]["mean"] == pytest.approx(1 / 3)
    assert found["overall"]["dcn"]["log_loss"]["number"] == 2
    # Seed 1 of DCN predicts 0.5 for all: 0.5 / (1/3) = 1.5.
    only = summary([tiny("dcn", 1)])
    assert only["overall"]["dcn"]["calibration"]["mean"] == pytest.approx(1.5)


def test_categories(found):
    # K-DCN 1 on both with both seeds, DCN 0.5.
    x, y = found["categories"]["rows"]
    assert [(row["name"], row["train"], row["rows"], row["clicks"], row["few"]) for row in (x, y)] == [
        ("x", 100, 3, 1, True), ("y", 10, 3, 1, True)]  # fmt: skip
    assert (x["auc"]["kdcn"]["mean"], y["auc"]["dcn"]["mean"], x["gain"]["mean"]) == (1.0, 0.5, 50.0)
    assert found["categories"]["average"]["dcn"]["mean"] == 0.5
    assert found["categories"]["gain"]["categories"] == 2
    assert found["figures"]["small_categories_gain_over_dcn"] == pytest.approx(50)


def test_small_categories_are_the_half_with_fewest_training_rows():
    # Of x, y, z with 10, 30, 20 rows: x is small, y is large. DCN's AUC on x is 0, on y 1, on z 0.5; K-DCN's 1.
    judged = Judged(np.array([1, 0] * 3), np.arange(6), {"category": np.array(list("xxyyzz"))})
    runs = [Run("kdcn", 1.0, 0, np.array([1.0, 0] * 3)), Run("dcn", 1.0, 0, np.array([0.0, 1, 1, 0, 0, 0]))]
    found = summary(runs, judged, dataset={"train": {"category": {"x": 10, "y": 30, "z": 20}}})["categories"]
    assert [row["name"] for row in found["rows"]] == ["y", "z", "x"]
    assert (found["small"]["mean"], found["large"]["mean"], found["gain"]["mean"]) == (100.0, 0.0, 50.0)


def test_an_average_leaves_out_categories_without_an_auc():
    judged = replace(TEST, slices={"category": np.array(list("xxyyzz"))})  # z has no click
    found = summary(judged=judged)["categories"]
    # x: 4 > 1, 4 > 3; y: 3 > 2, 2 > 1. DCN's x: 1 < 2 and a tie, y: 3 < 4 and a tie.
    assert (found["average"]["kdcn"]["mean"], found["average"]["dcn"]["mean"]) == (1.0, 0.25)
    assert found["rows"][2]["auc"]["kdcn"]["mean"] is None
    assert found["gain"]["categories"] == 2


def test_buckets_of_frequency_stand_in_their_order(found):
    assert [row["name"] for row in found["slices"]["user_frequency"]] == ["0", "1-2", "3-9", "10+"]
    assert found["slices"]["item_frequency"] == []


def test_convergence(found):
    # Seed 0: DCN's best 0.6 after 40 steps and 40 examples, K-DCN has it after 10 and 20: 0.25 and 0.5.
    # Seed 1: DCN's best 0.65 after 30, K-DCN has it after 20 and 40: 2/3 and 4/3.
    figures = found["figures"]
    assert figures["convergence_ratio"] == pytest.approx((1 / 4 + 2 / 3) / 2)
    assert figures["convergence_ratio_in_examples"] == pytest.approx((1 / 2 + 4 / 3) / 2)
    assert "K-DCN reached the best validation AUC of DCN in 0.92 times the examples." in found["findings"]
    assert found["curves"]["dcn"]["steps"] == [10]
    assert found["curves"]["dcn"]["mean"] == [pytest.approx(0.55)]
    assert found["curves"]["kdcn"]["seeds"] == {"0": [[10, 0.6], [20, 0.7]], "1": [[20, 0.7]]}


def test_convergence_that_never_comes_is_said():
    runs = [run if run.seed or run.model == "dcn" else replace(run, curve=points((10, 0.4))) for run in RUNS]
    found = summary(runs)
    assert found["figures"]["convergence_ratio"] is None
    assert found["convergence"][0]["of_reached"] == pytest.approx(2 / 3)
    assert "K-DCN reached the best validation AUC of DCN in 1 of 2 seeds." in found["findings"]


def test_calibration():
    # 0.25 is predicted twice, of which one is clicked, and 0.75 twice, both clicked: (|0.5 - 1| + |1.5 - 2|) / 4.
    judged, logits = Judged(np.array([0, 1, 1, 1]), np.arange(4)), np.array([-LN3, LN3, -LN3, LN3])
    found = summary([Run("lr", 1.0, 0, logits)], judged)
    assert found["figures"]["lr_calibration_error"] == pytest.approx(0.25)
    assert [(row["predicted"], row["clicked"], row["impressions"]) for row in found["calibration"]["lr"]] == [
        pytest.approx((0.25, 0.5, 2)), pytest.approx((0.75, 1, 2))]  # fmt: skip


def test_calibration_errors_of_two_seeds_do_not_cancel():
    runs = [Run("lr", 1.0, seed, np.full(2, sign * LN3)) for seed, sign in ((0, 1), (1, -1))]
    found = summary(runs, Judged(np.array([0, 1]), np.arange(2)))
    assert found["figures"]["lr_calibration_error"] == pytest.approx(0.25)


def test_cost(found):
    # 300 and 500 examples in 2 seconds.
    cost = found["cost"]["kdcn"]
    assert (cost["examples_per_second"]["mean"], cost["parameters"], cost["train"]) == (200.0, [7], [110])


def test_smaller_fractions():
    smaller = [replace(run, fraction=0.1, rows=11) for run in RUNS if run.model == "dcn" or run.seed == 0]
    found = summary(RUNS + smaller, replace(TEST, slices={"source": np.array(["A"] * 6)}))
    # Only seed 0 has both: 1 - 5/8, without an interval. A single source stands for all.
    figures = {name: value for name, value in found["figures"].items() if "gain" in name}
    assert figures == {
        "A_gain_over_dcn": 37.5, "A_gain_over_dcn_low": 37.5, "A_gain_over_dcn_high": 37.5,
        "A_gain_over_dcn_at_10%": 37.5, "A_gain_over_dcn_at_10%_low": None, "A_gain_over_dcn_at_10%_high": None,
    }  # fmt: skip
    assert found["notes"] == ["kdcn has no run with seed 1 on 10% of the training rows."]
    low, high = found["scarcity"]
    assert (low["fraction"], low["train"], low["auc"]["kdcn"]["mean"]) == (0.1, [11], 1.0)
    assert high["fraction"] == 1


def test_one_seed_has_no_intervals():
    found = summary([tiny("kdcn", 0), tiny("dcn", 0)], replace(TEST, slices={}))
    assert found["figures"]["all_gain_over_dcn"] == 37.5
    assert found["figures"]["all_gain_over_dcn_low"] is None
    assert (
        found["headline"]
        == "K-DCN against DCN: +37.50 points of AUC with one seed, which can't tell a gain from chance."
    )


@pytest.mark.parametrize("models", [["lr"], ["kdcn"], ["kdcn", "lr"]])
def test_fewer_models_than_usual(models):
    found = summary([replace(tiny("kdcn", seed), model=model, curve=()) for model in models for seed in (0, 1)])
    assert list(found["titles"]) == models
    assert len(found["gains"]) == (3 if len(models) == 2 else 0)
    assert found["convergence"] == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"titles": {"kdcn": "K-DCN"}}, "model 'dcn' has no title"),
        ({"reference": {"C": 0.8}}, "no test rows come from source 'C'; there are A, B, all"),
        ({"judged": replace(TEST, slices={"source": np.array(["all", "A"] * 3)})}, "a source is named 'all'"),
        ({"runs": [*RUNS, RUNS[0]]}, "run of kdcn with seed 0 on 100% of the training rows: is there twice"),
    ],
)
def test_what_does_not_fit(changes, told):
    with pytest.raises(DataError, match=told):
        summary(**changes)


def test_a_gain_that_is_there_is_found():
    made, judged = comparison.runs(1500)
    found = summary(made, judged, titles=comparison.TITLES, dataset=comparison.DATASET | {"broken": np.nan},
                    settings=comparison.SETTINGS, reference=comparison.REFERENCE)  # fmt: skip
    json.dumps(found, allow_nan=False)
    figures = found["figures"]
    assert figures["all_gain_over_dcn_low"] > 0
    assert figures["all_gain_over_dcn_at_10%"] > figures["all_gain_over_dcn"]
    assert figures["convergence_ratio_high"] < 0.5
    assert found["headline"].startswith("K-DCN ranks better than DCN on movielens (+")
    assert found["ablations"] == ["kdcn_no_pretraining", "kdcn_no_user_state", "kdcn_no_dialogue"]
    assert found["dataset"]["broken"] is None
    # A gain holds over drawn test sets too, with every share of the rows; seeds alone are surer of it than they may be.
    gains = [row for row in found["gains"] if row["over"] == "dcn" and row["part"] == "all"]
    assert [row["fraction"] for row in gains] == [1, 0.1, 0.01]
    for row in gains:
        assert 0 < row["test"]["low"] < row["mean"] < row["test"]["high"]
        assert row["test"]["share_not_above"] == 0


def gain(mean, low, high, test=(None, None), part="here"):
    return {"mean": mean, "low": low, "high": high, "seeds": 5, "part": part,
            "test": {"low": test[0], "high": test[1]}}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected", "told"),
    [
        (gain(1.2, 0.5, 1.9, (0.1, 2.5)), verdict.BETTER,
         "A ranks better than B: +1.20 points of AUC (+0.50 to +1.90 over 5 seeds)."),
        (gain(1.2, 0.5, 1.9, (-0.1, 2.5)), verdict.BETTER_HERE,
         "A ranks these test rows better than B, +1.20 points of AUC (+0.50 to +1.90 over 5 seeds), but they are too "
         "few to say so of others."),
        (gain(1.2, 0.5, 1.9), verdict.BETTER_HERE,
         "A ranks these test rows better than B, +1.20 points of AUC (+0.50 to +1.90 over 5 seeds), but no interval "
         "over drawn test sets says so of others."),
        (gain(-1.0, -1.5, -0.5), verdict.WORSE_HERE,
         "A ranks these test rows worse than B, −1.00 points of AUC (−1.50 to −0.50 over 5 seeds), but no interval "
         "over drawn test sets says so of others."),
        (gain(0.2, -0.5, 0.9), verdict.UNSURE,
         "No difference between A and B is shown: +0.20 points of AUC (−0.50 to +0.90 over 5 seeds)."),
        (gain(-1.0, -1.5, -0.5, (-2.0, -0.1)), verdict.WORSE,
         "A ranks worse than B: −1.00 points of AUC (−1.50 to −0.50 over 5 seeds)."),
        (gain(-1.0, -1.5, -0.5, (-2.0, 0.1)), verdict.WORSE_HERE,
         "A ranks these test rows worse than B, −1.00 points of AUC (−1.50 to −0.50 over 5 seeds), but they are too "
         "few to say so of others."),
        (gain(0.0, 0.0, 0.0), verdict.UNSURE,
         "No difference between A and B is shown: 0.00 points of AUC (0.00 to 0.00 over 5 seeds)."),
        (gain(None, None, None), verdict.UNDEFINED,
         "A and B can't be compared: the AUC is undefined, or they share no seed."),
    ],
)  # fmt: skip
def test_words_say_what_intervals_allow(given, expected, told):
    assert verdict.of(given) == expected
    assert verdict.sentence("A", "B", given) == told
    assert verdict.headline("A", "B", [given]) == told


def test_the_headline_of_several_sources():
    told = verdict.headline("A", "B", [
        gain(1.2, 0.5, 1.9, (0.1, 2.5), "x"), gain(0.2, -0.5, 0.9, part="y"), gain(2.0, 1.5, 2.5, (1.0, 3.0), "z"),
    ])  # fmt: skip
    assert told == (
        "A ranks better than B on x (+1.20 points of AUC) and z (+2.00); "
        "no difference between A and B is shown on y (+0.20)."
    )


@pytest.mark.parametrize(("low", "high", "word"), [(0.5, 1.9, "better"), (-1.9, -0.5, "worse")])
def test_the_headline_of_a_source_with_few_rows(low, high, word):
    few = gain((low + high) / 2, low, high, (-3.0, 3.0), part="y")
    told = verdict.headline("A", "B", [few, gain(2.0, 1.5, 2.5, part="z")])
    size = verdict.points(few["mean"])
    assert told.startswith(f"A ranks {word} than B on y ({size} points of AUC), whose test rows are too few")
    assert told.endswith("ranks better than B on z (+2.00), where no interval over drawn test sets says so of others.")
