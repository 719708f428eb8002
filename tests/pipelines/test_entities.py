"""Rare filter and id assignment."""

import random

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from kdcn_tf import ckg
from kdcn_tf.ckg import Pattern
from kdcn_tf.manifest import DataFile
from pipelines import entities, extract
from pipelines.counting import COUNTS, GOOD


def triple(head, relation, tail):
    return extract.triple(Pattern("", relation, ""), head.replace(":", "\t"), tail.replace(":", "\t"))


def check_kept(triples, expected, counts):
    with beam.Pipeline("FnApiRunner") as pipeline:
        judged = pipeline | beam.Create(triples) | entities.KeptEntities(2)
        names = judged[GOOD] | beam.Map(lambda name: name.replace("\t", ":"))
        assert_that(names, equal_to(expected), "entities")
        assert_that(judged[COUNTS] | beam.CombinePerKey(sum), equal_to(counts), "counts")


def test_rare_tags_go_and_users_stay():
    # Tag a stands in 2 triples, b in 1.
    triples = [triple("user:u", "has", "user_tag:a"), triple("user:v", "has", "user_tag:a"),
               triple("user:w", "has", "user_tag:b")]  # fmt: skip
    check_kept(triples, ["user:u", "user:v", "user:w", "user_tag:a"], [("rare.user_tag", 1)])


def test_a_property_stays_with_its_last_value():
    # c=red: items i, j; c=blue: item i; s=m: item i. (property, has, value) doesn't count.
    triples = [
        triple("item:i", "has", "value:c=red"), triple("item:j", "has", "value:c=red"),
        triple("item:i", "has", "value:c=blue"), triple("item:i", "has", "value:s=m"),
        triple("property:c", "has", "value:c=red"), triple("property:c", "has", "value:c=blue"),
        triple("property:s", "has", "value:s=m"),
    ]  # fmt: skip
    check_kept(triples, ["item:i", "item:j", "value:c=red", "property:c"], [("rare.value", 2), ("rare.property", 1)])


def test_an_intention_counts_its_sessions_not_its_keywords():
    triples = [
        triple("session:q", "has", "intention:buy"),
        triple("intention:buy", "has", "keyword:x"), triple("intention:buy", "has", "keyword:y"),
    ]  # fmt: skip
    check_kept(triples, ["session:q"], [("rare.intention", 1), ("rare.keyword", 2)])


def test_both_ends_of_outside_triples_count():
    # keyword:x is the head of two triples that are no pattern of the logs.
    triples = [triple("keyword:x", "near", "concept:a"), triple("keyword:x", "near", "concept:b")]
    check_kept(triples, ["keyword:x", "concept:a", "concept:b"], [])


def assigned(names, directory, ids_per_file):
    with beam.Pipeline("FnApiRunner") as pipeline:
        made = pipeline | beam.Create(names) | entities.AssignIds(str(directory), ids_per_file)
        for name in ("ids", "files"):
            made[name] | name >> beam.Map(repr) | f"Write{name}" >> beam.io.WriteToText(
                str(directory / f".{name}"), shard_name_template=""
            )  # fmt: skip

    def rows(name):
        return [eval(line) for line in (directory / f".{name}").read_text().splitlines()]

    return dict(rows("ids")), sorted(rows("files"))


@pytest.fixture(scope="module")
def names():
    return [
        f"{kind}\t{kind}{i}" for kind, n in (("zebra", 3), ("item", 30), ("user", 50), ("actor", 2)) for i in range(n)
    ]


def test_ids_are_dense_contiguous_and_free_of_arrival_order(names, tmp_path):
    shuffled = random.Random(3).sample(names, len(names))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ids, files = assigned(names, tmp_path / "a", ids_per_file=10)
    again, same_files = assigned(shuffled, tmp_path / "b", ids_per_file=10)
    assert ids == again
    assert files == same_files
    assert sorted(ids.values()) == list(range(1, 86))
    # Paper types in their order, then others by name.
    spans = {
        kind: sorted(i for name, i in ids.items() if name.startswith(kind))
        for kind in ("user", "item", "actor", "zebra")
    }
    assert [(span[0], span[-1]) for span in spans.values()] == [(1, 50), (51, 80), (81, 82), (83, 85)]


def test_files_hold_the_keys_in_id_order(names, tmp_path):
    ids, files = assigned(names, tmp_path, ids_per_file=10)
    found = {}
    for group, name, _, _, count, first in files:
        keys = (tmp_path / name).read_text().splitlines()
        assert (len(keys), keys) == (count, sorted(keys))
        found |= {f"{group.removeprefix('entities/')}\t{key}": first + i for i, key in enumerate(keys)}
    assert found == ids
    assert sum(group == "entities/user" for group, *_ in files) == 5  # 50 users, 10 a file


def test_first_ids():
    # user shards 2 + 1, then item 4, then the outside type: 1, 3, 4, 8.
    sizes = {("person", 0): 5, ("item", 0): 4, ("user", 1): 1, ("user", 0): 2}
    assert entities.first_ids(sizes) == {("user", 0): 1, ("user", 1): 3, ("item", 0): 4, ("person", 0): 8}


def test_id_map_depends_on_the_files_content():
    def groups(digest):
        user = (DataFile("a", 1, "x", count=2, first=1), DataFile("b", 1, digest, count=1, first=3))
        return {"entities/user": user, "entities/item": (DataFile("c", 1, "z", count=4, first=4),)}

    made = entities.id_map(groups("y"), ["r"])
    assert made.ranges == {ckg.USER: (1, 4), ckg.ITEM: (4, 8)}
    assert made.num_ids == 8
    assert made.fingerprint == entities.id_map(groups("y"), ["s"]).fingerprint
    assert made.fingerprint != entities.id_map(groups("other"), ["r"]).fingerprint
