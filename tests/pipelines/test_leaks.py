"""Held-out clicks that the graph holds; late behaviours."""

import numpy as np
import pytest
from support.raw_logs import BEHAVIORS, IMPRESSIONS, ids_of, run, streams, write_raw

from kdcn_tf import ckg, keys, manifest
from kdcn_tf.places import Places
from pipelines import build_ckg, build_ctr, check_leaks, leaks

U1 = keys.entity_key("user", "u1")


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Raw logs whose one held-out click, of u1 on i2 at 100, repeats what u1 did before the cutoff; two graphs."""
    directory = tmp_path_factory.mktemp("leaks")
    write_raw(directory / "raw", streams())
    for name, interactions in (("plain", "false"), ("with", "true")):
        arguments = ("--raw", directory / "raw", "--output", directory / name)
        assert run(build_ckg.main, *arguments, f"--set=ckg.interactions={interactions}") == 0
    return directory


def build(logs, graph, output, *arguments, raw=None):
    return run(build_ctr.main, "--raw", raw or logs / "raw", "--ckg", logs / graph, "--output", output, *arguments)


def test_a_held_out_click_that_the_graph_holds_is_refused(logs, tmp_path, capsys):
    assert build(logs, "with", tmp_path / "ctr") == 65
    ids = ids_of(logs / "with", manifest.read(str(logs / "with"), manifest.CKG))
    told = capsys.readouterr().err
    assert "1 of 1 clicks held out" in told
    assert "(100.00%)" in told
    assert "'user.interacted.item'" in told
    assert f"test: user {ids['user', U1]}, item {ids['item', 'i2']}" in told
    assert "--set ctr.max_leaked_share=1 allows them" in told
    assert list((tmp_path / "ctr").iterdir()) == []


def test_repeats_can_be_allowed(logs, tmp_path, capsys):
    assert build(logs, "with", tmp_path / "ctr", "--set=ctr.max_leaked_share=1") == 0
    assert "1 held-out clicks stand in the graph" in capsys.readouterr().err
    counts = manifest.read(str(tmp_path / "ctr"), manifest.CTR).counts
    assert (counts["leak_check.clicks"], counts["leak_check.leaked"]) == (1, 1)
    both = ("--ckg", logs / "with", "--ctr", tmp_path / "ctr")
    assert run(check_leaks.main, *both) == 0  # as the dataset was built
    assert capsys.readouterr().out == "1 of 1 held-out clicks are in the graph\n"
    assert run(check_leaks.main, *both, "--set=ctr.max_leaked_share=0.99", "--scratch", tmp_path) == 65
    assert "more than ctr.max_leaked_share=0.99" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["ctr"]


def test_what_is_no_leak(logs, tmp_path, capsys):
    """A held-out click of another item, one of an unknown user, and a leaked pair that wasn't clicked."""
    rows = [
        IMPRESSIONS[0], IMPRESSIONS[2] | {"label": 1}, IMPRESSIONS[3] | {"label": 0},
        IMPRESSIONS[3] | {"user_id": "u2", "item_id": "i1", "session_id": "q2"},
    ]  # fmt: skip
    raw = write_raw(tmp_path / "raw", streams(impressions=rows))
    assert build(logs, "with", tmp_path / "ctr", raw=raw) == 0
    counts = manifest.read(str(tmp_path / "ctr"), manifest.CTR).counts
    assert (counts["leak_check.clicks"], counts["leak_check.leaked"]) == (2, 0)


def test_a_graph_without_interactions_passes_unread(logs, tmp_path, capsys):
    assert build(logs, "plain", tmp_path / "ctr") == 0
    assert "leak_check.clicks" not in manifest.read(str(tmp_path / "ctr"), manifest.CTR).counts
    assert run(check_leaks.main, "--ckg", logs / "plain", "--ctr", tmp_path / "ctr") == 0
    assert capsys.readouterr().out == "no leaks: the graph has no relation between users and items\n"
    assert run(check_leaks.main, "--ckg", tmp_path / "ctr", "--ctr", tmp_path / "ctr") == 65
    assert "a dataset of kind 'ctr', expected 'ckg'" in capsys.readouterr().err


def test_late_behaviours_are_counted(logs, tmp_path):
    """Strictly before an impression of the same user is used; at its time, after it, or without one isn't."""
    late = [
        BEHAVIORS[0] | {"timestamp": 100}, BEHAVIORS[0] | {"timestamp": 101},
        BEHAVIORS[0] | {"timestamp": 99}, BEHAVIORS[0] | {"user_id": "u2", "timestamp": 1},
    ]  # fmt: skip
    raw = write_raw(tmp_path / "raw", streams(behaviors=late))
    assert build(logs, "plain", tmp_path / "ctr", raw=raw) == 0
    counts = manifest.read(str(tmp_path / "ctr"), manifest.CTR).counts
    assert {name: n for name, n in counts.items() if "behaviors" in name and n} == {
        "read.behaviors": 4, "used.behaviors": 1,
        "filtered.behaviors.late": 2, "filtered.behaviors.no_impression": 1,
    }  # fmt: skip


def test_pairs_are_one_number_each():
    pairs = leaks.Pairs(users=Places(((5, 10**9),)), items=Places(((10**9, 3 * 10**9),)))
    users, items = np.array([5, 999_999_999, 4, 5, 5]), np.array([10**9, 3 * 10**9 - 1, 10**9, -1, 3 * 10**9])
    packed = pairs.pack(users, items)
    assert [pairs.unpack(int(one)) for one in packed] == [(5, 10**9), (999_999_999, 3 * 10**9 - 1)]


def test_pairs_of_types_that_grew():
    """Users 1, 2, 6; items 3 to 5, 7 and 8: a pair is 5 times the user's place and the item's."""
    id_map = ckg.IdMap({"user": (1, 3), "item": (3, 6)}, (), "x", {"user": ((6, 7),), "item": ((7, 9),)})
    pairs = leaks.Pairs.of(manifest.Manifest(manifest.CKG, id_map=id_map))
    packed = pairs.pack(np.array([1, 2, 6, 6, 3, 1]), np.array([3, 7, 5, 8, 3, 6]))
    assert packed.tolist() == [0, 5 + 3, 10 + 2, 10 + 4]
    assert [pairs.unpack(int(one)) for one in packed] == [(1, 3), (2, 7), (6, 5), (6, 8)]


def test_relations_that_join_users_and_items():
    def joining(names, patterns):
        id_map = ckg.IdMap({"user": (1, 2), "item": (2, 3)}, names, "x")
        return leaks.relations(manifest.Manifest(manifest.CKG, id_map=id_map, info={"relation_patterns": patterns}))

    patterns = {"item.bought_by.user": ["item", "bought_by", "user"], "user.has.user_tag": ["user", "has", "user_tag"]}
    assert joining(tuple(patterns), patterns) == {0: "item.bought_by.user"}
    # By name alone, as preset `paper` has it: one name, several patterns.
    by_name = {"has": [["user", "has", "user_tag"]], "saw": [["x", "saw", "y"], ["user", "saw", "item"]]}
    assert joining(tuple(by_name), by_name) == {1: "saw"}
    assert joining(("has", "interacted"), {}) == {1: "interacted"}


def test_the_first_leaks_are_the_smallest():
    def part(split, *rows):
        return {"clicks": 4, "leaked": len(rows), "first": [[split, *row] for row in rows]}

    parts = [part(1, (1, 9), (2, 9)), part(0, (7, 8), (8, 8)), part(0, (7, 8))]
    whole = {"clicks": 12, "leaked": 5, "first": [[0, 7, 8], [0, 8, 8], [1, 1, 9]]}
    assert leaks._add(parts) == leaks._add([leaks._add(parts[1:]), parts[0]]) == whole
