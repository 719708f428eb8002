"""The whole job on logs small enough to follow by hand."""

import json
import math
import random

import pytest
from support.raw_logs import (
    BEHAVIORS,
    IMPRESSIONS,
    ITEMS,
    ids_of,
    read_group,
    run,
    streams,
    write_lines,
    write_raw,
)  # fmt: skip

from kdcn_tf import keys, manifest, records
from pipelines import build_ckg, build_ctr


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Directory with raw, ckg and ctr, the CTR manifest, and (type, key) -> id."""
    directory = tmp_path_factory.mktemp("chain")
    write_raw(directory / "raw", streams())
    assert run(build_ckg.main, "--raw", directory / "raw", "--output", directory / "ckg") == 0
    made = built(directory, directory / "raw", directory / "ctr")
    graph = manifest.read(str(directory / "ckg"), manifest.CKG)
    return directory, made, ids_of(directory / "ckg", graph)


def built(directory, raw, output, *arguments):
    assert run(build_ctr.main, "--raw", raw, "--ckg", directory / "ckg", "--output", output, *arguments) == 0
    return manifest.read(str(output), manifest.CTR, check_digests=True)


def by_time(directory, made, split):
    found = read_group(directory, made, split)
    return {record[records.TIMESTAMP][0]: record for record in found}


def test_split_by_time(chain):
    directory, made, _ = chain
    found = {split: sorted(by_time(directory / "ctr", made, split)) for split in ("train", "valid", "test")}
    assert found == {"train": [10, 11], "valid": [60], "test": [100]}


def test_behaviours_strictly_before(chain):
    directory, made, ids = chain
    i1, i2 = ids["item", "i1"], ids["item", "i2"]
    train = by_time(directory / "ctr", made, "train")
    # Clicks at 5 (i1) and 7 (i2), purchase at 10: not before the impression at 10.
    assert [train[10][f"behavior_{kind}"] for kind in ("click", "purchase")] == [[i2, i1], []]
    assert [train[11][f"behavior_{kind}"] for kind in ("click", "purchase")] == [[i2, i1], [i2]]
    last = by_time(directory / "ctr", made, "test")[100]
    assert [last[f"behavior_{kind}"] for kind in ("cart", "favorite")] == [[i1], []]


def test_names_become_ids_of_the_graph(chain):
    directory, made, ids = chain
    train = by_time(directory / "ctr", made, "train")
    words = {word: ids["keyword", word] for word in ("red", "running", "shoe")}
    assert train[10][records.ITEM] == [ids["item", "i1"]]
    assert train[10][records.USER] == [ids["user", keys.entity_key("user", "u1")]]
    assert train[10][records.QUERY_KEYWORDS] == [words["running"], words["shoe"]]
    assert train[10][records.TITLE_KEYWORDS] == [words["red"], words["running"], words["shoe"]]
    assert train[10][records.CATEGORIES] == [ids["category", "Sport"], ids["category", "Sport/Shoes"]]
    # "zebra" and the rare "jacket" aren't in the graph.
    assert train[11][records.QUERY_KEYWORDS] == [words["shoe"]]
    assert train[11][records.TITLE_KEYWORDS] == [words["red"], words["running"]]


def test_what_the_graph_does_not_know(chain):
    directory, made, _ = chain
    stranger = by_time(directory / "ctr", made, "valid")[60]
    assert stranger[records.USER] == [records.OOV_ID]
    assert stranger[records.QUERY_KEYWORDS] == []
    assert stranger[records.SOURCE] == [b"web"]
    assert {name: n for name, n in made.counts.items() if name.startswith("oov.")} == {
        "oov.user": 1, "oov.keyword": 2, "oov.valid.user": 1, "oov.valid.item": 0,
    }  # fmt: skip
    assert made.info["unknown"] == {"user": 1.0, "item": 0.0}  # the stranger's is validation's one example


def test_labels_weights_and_sessions(chain):
    directory, made, _ = chain
    train, test = (by_time(directory / "ctr", made, split) for split in ("train", "test"))
    assert (train[10][records.LABEL], train[11][records.LABEL]) == ([1.0], [0.0])
    assert (train[10][records.WEIGHT], test[100][records.WEIGHT]) == ([1.0], [2.0])
    assert train[10][records.SESSION] == train[11][records.SESSION] != test[100][records.SESSION]
    # `kdcn explain --session` looks for it by the id in the logs.
    assert train[10][records.SESSION] == [keys.session_number("q1")]


def test_positions_as_the_log_counts_them(chain):
    directory, made, _ = chain
    train, test = (by_time(directory / "ctr", made, split) for split in ("train", "test"))
    assert (train[11][records.POSITION], test[100][records.POSITION]) == ([0], [12])
    assert train[10][records.POSITION] == [records.UNKNOWN_POSITION]


def test_dense_statistics_and_their_moments(chain):
    """By hand.

    Training impressions: price 9 and 19, score 1 once. log1p: price ln 10 and ln 20, score ln 2.
    """
    directory, made, _ = chain
    dense = made.info["dense"]
    assert dense["names"] == ["price", "score"]
    assert dense["mean"] == pytest.approx([(math.log(10) + math.log(20)) / 2, math.log(2)])
    assert dense["std"] == pytest.approx([math.log(2) / 2, 1.0])
    train = by_time(directory / "ctr", made, "train")
    assert train[10][records.DENSE] == [9.0, 1.0]
    assert train[11][records.DENSE][0] == 19.0
    assert math.isnan(train[11][records.DENSE][1])


def test_manifest(chain):
    directory, made, _ = chain
    graph = manifest.read(str(directory / "ckg"), manifest.CKG)
    manifest.require_same_ids(made, graph)
    assert made.inputs["ckg"] == graph.fingerprint()
    assert made.info["behaviors"] == ["click", "cart", "favorite", "purchase"]
    assert made.info["time"] == {"train_end": 50, "valid_end": 80}
    assert (made.info["max_behaviors"], made.info["max_categories"]) == (20, 4)
    expected = {"read.impressions": 4, "used.impressions": 4, "read.behaviors": 4, "used.behaviors": 4}
    assert expected.items() <= made.counts.items()


def test_reordered_and_split_input_gives_identical_files(chain, tmp_path):
    directory, made, _ = chain
    globs = []
    for name in ("items", "behaviors", "impressions"):
        rows = streams()[name]
        mixed = random.Random(3).sample(rows, len(rows))
        write_lines(tmp_path / f"{name}-1.jsonl", mixed[:1])
        write_lines(tmp_path / f"{name}-2.jsonl", mixed[1:])
        globs.append(f"--{name}={tmp_path}/{name}-*.jsonl")
    times = ("--set=time.train_end=50", "--set=time.valid_end=80")
    code = run(build_ctr.main, *globs, *times, "--ckg", directory / "ckg", "--output", tmp_path / "ctr")
    assert code == 0
    again = manifest.read(str(tmp_path / "ctr"), manifest.CTR)
    assert (again.files, again.counts, again.info) == (made.files, made.counts, made.info)


def test_limits_and_window(chain, tmp_path):
    directory, _, ids = chain
    limits = ("max_behaviors=1", "max_query_keywords=1", "max_title_keywords=2", "max_categories=1")
    made = built(directory, directory / "raw", tmp_path / "ctr", *(f"--set=ctr.{limit}" for limit in limits))
    first = by_time(tmp_path / "ctr", made, "train")[10]
    assert first["behavior_click"] == [ids["item", "i2"]]
    assert len(first[records.QUERY_KEYWORDS]) == 1
    assert len(first[records.TITLE_KEYWORDS]) == 2
    assert first[records.CATEGORIES] == [ids["category", "Sport"]]


def test_unknown_items_and_bad_fields_are_dead_letters(chain, tmp_path, capsys):
    directory, _, _ = chain
    rows = streams(
        behaviors=[*BEHAVIORS, BEHAVIORS[0] | {"item_id": "gone"}],
        impressions=[
            *IMPRESSIONS,
            IMPRESSIONS[0] | {"item_id": "gone"},
            IMPRESSIONS[0] | {"label": 3},
            IMPRESSIONS[0] | {"position": -1},
        ],
    )
    raw = write_raw(tmp_path / "raw", rows)
    made = built(directory, raw, tmp_path / "ctr", "--set=logs.max_bad_share=0.5")
    assert (made.counts["dead.behaviors"], made.counts["dead.impressions"]) == (1, 3)
    (entry,) = made.group("dead_letters")
    letters = [json.loads(line) for line in (tmp_path / "ctr" / entry.name).read_text().splitlines()]
    found = {(letter["file"].rsplit("/")[-1], letter["line"], letter["field"], letter["reason"]) for letter in letters}
    assert found == {
        ("behaviors.jsonl", 5, "item_id", "unknown item"), ("impressions.jsonl", 5, "item_id", "unknown item"),
        ("impressions.jsonl", 6, "label", "not 0 or 1"), ("impressions.jsonl", 7, "position", "is negative"),
    }  # fmt: skip
    arguments = ("--raw", raw, "--ckg", directory / "ckg", "--output", tmp_path / "strict")
    assert run(build_ctr.main, *arguments) == 65
    assert "of 5 records are bad" in capsys.readouterr().err
    assert not (tmp_path / "strict" / "manifest.json").exists()


def test_an_impression_counts_once_at_each_position(chain, tmp_path):
    directory, _, _ = chain
    shown = [IMPRESSIONS[0], *({**IMPRESSIONS[0], "position": place} for place in (1, 1, 2))]
    made = built(directory, write_raw(tmp_path / "raw", streams(impressions=shown)), tmp_path / "ctr")
    found = [record[records.POSITION] for record in read_group(tmp_path / "ctr", made, "train")]
    assert sorted(found) == [[-1], [1], [2]]
    assert made.counts["filtered.impressions.duplicate"] == 1


def test_an_item_newer_than_the_graph_is_oov(chain, tmp_path):
    directory, _, _ = chain
    rows = streams(
        items=[*ITEMS, ITEMS[0] | {"item_id": "new"}], impressions=[*IMPRESSIONS, IMPRESSIONS[0] | {"item_id": "new"}]
    )
    made = built(directory, write_raw(tmp_path / "raw", rows), tmp_path / "ctr")
    found = [record[records.ITEM] for record in read_group(tmp_path / "ctr", made, "train")]
    assert found.count([records.OOV_ID]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--raw={dir}/raw", "--output={tmp}/o"], 2, "--ckg: is required"),
        (["--raw={dir}/raw", "--ckg={dir}/raw", "--output={tmp}/o"], 65, "a dataset of kind 'raw', expected 'ckg'"),
        (["--raw={dir}/raw", "--ckg={dir}/ckg", "--output={tmp}/o", "--set=time.train_end=49"], 65, "would leak"),
        (["--raw={dir}/raw", "--ckg={dir}/ckg", "--output={tmp}/o", "--set=time.valid_end=null"], 2, "time.valid_end"),
        (["--items={dir}/raw/items.jsonl", "--ckg={dir}/ckg", "--output={tmp}/o"], 65, "impressions: the input has no"),
        (["--impressions={dir}/no*", "--ckg={dir}/ckg", "--output={tmp}/o"], 65, "--impressions: no file matches"),
    ],
)
def test_wrong_input_has_a_message_and_an_exit_code(chain, tmp_path, capsys, arguments, code, message):
    directory, _, _ = chain
    assert run(build_ctr.main, *(a.format(dir=directory, tmp=tmp_path) for a in arguments)) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_a_user_with_a_million_behaviours(chain, tmp_path):
    directory, _, ids = chain
    times = (f'"item_id": "i{1 + n % 2}", "behavior": "click", "timestamp": {n / 1_000_000}' for n in range(1_000_000))
    raw = write_raw(tmp_path / "raw", streams(behaviors=[f'{{"user_id": "u1", {time}}}' for time in times]))
    made = built(directory, raw, tmp_path / "ctr")
    assert made.counts["used.behaviors"] == 1_000_000
    first = by_time(tmp_path / "ctr", made, "train")[10]
    latest = [ids["item", "i2"], ids["item", "i1"]] * 10
    assert first[records.behavior_key("click")] == latest
