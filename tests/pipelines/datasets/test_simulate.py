"""The simulated shop: reproducible, consistent, of a known ceiling, and without a leak."""

import gzip
import json
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from support.raw_logs import run

from kdcn_tf import manifest, text
from kdcn_tf.config import SimulateConfig
from pipelines.datasets import simulate, world
from pipelines.datasets.world import World

SIZES = {"users": 60, "items": 150, "sellers": 5, "sessions": 200, "impressions_per_session": 5}
STREAMS = ("users", "items", "sessions", "behaviors", "impressions")


def simulated(output, **changed):
    assignments = (f"--set=simulate.{key}={value}" for key, value in (SIZES | changed).items())
    assert run(simulate.main, "--output", output, *assignments) == 0
    return output


def stream(output, name: str) -> list[dict]:
    with gzip.open(output / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def digests(output) -> dict[str, str]:
    return {name: group[0].sha256 for name, group in manifest.read(str(output), manifest.RAW).files.items()}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return simulated(tmp_path_factory.mktemp("simulate") / "raw")


def test_a_seed_is_a_log(shop, tmp_path):
    again, other = simulated(tmp_path / "again"), simulated(tmp_path / "other", seed=8)
    for name in STREAMS:
        bytes_of = [(folder / f"{name}.jsonl.gz").read_bytes() for folder in (shop, again, other)]
        assert bytes_of[0] == bytes_of[1] != bytes_of[2], name


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_id_is_known_and_every_time_inside_the_period(tmp_path, language):
    raw = simulated(tmp_path / "raw", language=language)
    found = {name: stream(raw, name) for name in STREAMS}
    users, items = ({row[key] for row in found[name]} for name, key in (("users", "user_id"), ("items", "item_id")))
    sessions = {row["session_id"]: row for row in found["sessions"]}
    assert (len(users), len(items), len(sessions), len(found["impressions"])) == (60, 150, 200, 1000)
    period = range(simulate.START, simulate.START + 30 * simulate.DAY)
    for row in found["behaviors"]:
        assert row["user_id"] in users
        assert row["item_id"] in items
        assert row["timestamp"] in period
    for row in found["sessions"]:
        assert row["user_id"] in users
        assert row["timestamp"] in period
    for row in found["impressions"]:
        session = sessions[row["session_id"]]
        assert (row["user_id"], row["timestamp"]) == (session["user_id"], session["timestamp"])
        assert row["item_id"] in items
    assert {row["seller_id"] for row in (*found["sessions"], *found["items"])} <= {f"s{n}" for n in range(5)}
    assert len({(row["session_id"], row["item_id"]) for row in found["impressions"]}) == 1000
    spoken = "".join(line["text"] for row in found["sessions"] for line in row["utterances"])
    assert any("一" <= character <= "鿿" for character in spoken) == (language == "zh")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_keyword_is_found_again_in_what_was_said(tmp_path, language):
    """The pipelines may cut keywords from utterances, too: the words of the intention are among them."""
    raw = simulated(tmp_path / "raw", language=language, sessions=20)
    for row in stream(raw, "sessions"):
        cut = text.keywords("\n".join(line["text"] for line in row["utterances"]), 100)
        assert set(cut) & {piece for word in row["keywords"] for piece in text.keywords(word, 100)}


def test_the_split_is_by_time_and_suggested(shop):
    found = manifest.read(str(shop), manifest.RAW)
    # 30 days: training ends after 24, validation after 27.
    assert found.info["config"] == {
        "time.train_end": simulate.START + 24 * simulate.DAY, "time.valid_end": simulate.START + 27 * simulate.DAY,
    }  # fmt: skip
    times = [row["timestamp"] for row in stream(shop, "sessions")]
    assert times == sorted(times)


@pytest.mark.parametrize("rate", [0.05, 0.4])
def test_the_click_rate_is_the_configured(tmp_path, capsys, rate):
    raw = simulated(tmp_path / "raw", click_rate=rate, sessions=1000)
    labels = [row["label"] for row in stream(raw, "impressions")]
    # 5000 impressions: a standard error of 0.007 at the most; four of them.
    assert np.mean(labels) == pytest.approx(rate, abs=0.028)
    figures = manifest.read(str(raw), manifest.RAW).info["simulation"]
    assert figures["click_rate"] == np.mean(labels)
    assert f"bayes_auc_test {figures['bayes_auc_test']:.4f}"[:20] in capsys.readouterr().out


def test_the_ceiling_is_the_auc_of_the_true_probabilities():
    shown = World(SimulateConfig(users=500, items=500, sessions=3000))
    impressions = simulate.Impressions(shown)
    labels = [row["label"] for row in impressions]
    figures = impressions.figures()
    truth = [p for number in range(3000) for _, p, _ in shown.clicks(shown.session(number))]
    held = [number >= 0.9 * 3000 for number in range(3000) for _ in range(8)]
    drawn = roc_auc_score(labels, truth)
    drawn_test = roc_auc_score(np.array(labels)[held], np.array(truth)[held])
    # The histogram's bins are 1/8192 wide: hardly a tie that isn't one.
    assert figures["drawn_auc_all"] == pytest.approx(drawn, abs=1e-4)
    assert figures["drawn_auc_test"] == pytest.approx(drawn_test, abs=1e-3)
    # 24,000 impressions, 4,800 clicks: the AUC's standard error is about 0.0035; of a tenth of them, 0.011.
    assert figures["bayes_auc_all"] == pytest.approx(drawn, abs=0.012)
    assert figures["bayes_auc_test"] == pytest.approx(drawn_test, abs=0.035)
    # Any other score does worse, one of its terms alone among them.
    ratings = [item.rating for number in range(3000) for item, _, _ in shown.clicks(shown.session(number))]
    assert 0.5 < roc_auc_score(labels, ratings) < figures["bayes_auc_all"] - 0.05


def test_nothing_but_the_label_knows_of_the_click(shop, tmp_path, monkeypatch):
    other_rate = simulated(tmp_path / "rate", click_rate=0.6)
    drawn = World.random
    monkeypatch.setattr(
        World, "random", lambda self, kind, number: drawn(self, kind, number + (10**6 if kind == "clicks" else 0))
    )
    other_draw = simulated(tmp_path / "draw")
    labels = []
    for folder in (shop, other_rate, other_draw):
        assert all(digests(folder)[name] == digests(shop)[name] for name in STREAMS[:-1])
        rows = stream(folder, "impressions")
        labels.append([row.pop("label") for row in rows])
        assert rows == [{k: v for k, v in row.items() if k != "label"} for row in stream(shop, "impressions")]
    assert labels[0] != labels[2]
    # A raised rate only adds clicks: the draws are the same.
    assert all(raised >= label for label, raised in zip(labels[0], labels[1], strict=True))


def test_texts_are_made_of_what_is_known_before():
    """Titles of the item alone, queries and keywords of the session alone, the item named is any candidate."""
    shown = World(SimulateConfig(**SIZES))
    items = {row["item_id"]: row for row in simulate.items(shown)}
    sessions = {row["session_id"]: row for row in simulate.sessions(shown)}
    for row in items.values():
        assert row["title"].split()[-1] == f"m{row['item_id'][1:]}"
        assert row["title"].split()[0] in row["properties"].values()
    offered = {name: set() for name in sessions}
    for row in simulate.Impressions(shown):
        session = sessions[row["session_id"]]
        assert row["query"] == session["keywords"][:2]
        assert all(word.endswith(f"-{session['intention']}") for word in session["keywords"])
        assert "stats" not in row
        offered[row["session_id"]].add(items[row["item_id"]]["title"])
    for name, titles in offered.items():
        assert any(title in sessions[name]["utterances"][1]["text"] for title in titles)


def test_memory_does_not_grow_with_the_number_of_sessions(monkeypatch):
    monkeypatch.setattr(world, "_CACHED", 50)
    peaks = []
    for sessions in (150, 1500):
        shown = World(SimulateConfig(users=2000, items=2000, sessions=sessions))
        tracemalloc.start()
        for rows in (simulate.sessions(shown), simulate.Impressions(shown)):
            for _ in rows:
                pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_categories_have_the_sizes_of_the_papers_table(tmp_path):
    """Of 4,000 candidates, those of a category have its share of the paper's 899,995 training records."""
    raw = simulated(tmp_path / "raw", categories="paper", sessions=800, items=3000)
    category = {row["item_id"]: row["category"][0] for row in stream(raw, "items")}
    shown = Counter(category[row["item_id"]] for row in stream(raw, "impressions"))
    paper = {"beauty": 157_027, "women": 139_167, "kitchen": 55_069, "digital": 49_455}
    for name, rows in paper.items():
        assert shown[name] / 4000 == pytest.approx(rows / 899_995, abs=0.03), name
    assert len(shown) == 10
