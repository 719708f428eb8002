"""Rare filter and ids."""

import random

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest

from kdcn_tf import ckg
from kdcn_tf.ckg import Pattern
from kdcn_tf.config import CkgConfig
from kdcn_tf.errors import DataError
from kdcn_tf.manifest import DataFile
from pipelines import batches, entities, hashing, ids, triples
from pipelines.counting import COUNTS
from pipelines.exchange import Exchange
from pipelines.statements import pattern_hash


def told(stated, parts):
    """What names and triples ("type:key relation type:key") tell the parts of the hashes' range."""
    split = [tuple(tuple(end.split(":")) if ":" in end else end for end in text.split()) for text in stated]
    names = sorted({end for head, _, tail in split for end in (head, tail)})
    hashes = np.array([hashing.of_texts([key], kind)[0] for kind, key in names], np.uint64)
    table = pa.table({"type": [kind for kind, _ in names], "name": [key for _, key in names], "hash": hashes})
    for part, found in batches.split(table, hashing.parts(hashes, parts)):
        yield part, (entities.NAMES, Exchange(parts).pack(found))
    patterns = [Pattern(head[0], relation, tail[0]) for head, relation, tail in split]
    known = {int(pattern_hash(p, 0)): (p.head, p.relation, p.tail) for p in patterns}
    of = dict(zip(names, hashes, strict=True))
    rows = batches.table(
        head=np.array([of[head] for head, _, _ in split]), pattern=np.array([pattern_hash(p, 0) for p in patterns]),
        tail=np.array([of[tail] for *_, tail in split]), weight=np.ones(len(split), np.int32),
    )  # fmt: skip
    config = CkgConfig(valid_fraction=0, test_fraction=0)
    place = triples._Place(config, Exchange(parts))
    place.start_bundle()
    for found in place.process((0, [Exchange(parts).pack(rows)]), len(split), known):
        if isinstance(found, beam.pvalue.TaggedOutput) and found.tag == triples.TOLD:
            yield found.value


def numbered(stated, directory, parts=1, ids_per_file=100, min_count=2):
    """({entity: id}, files, counts)."""
    directory.mkdir()
    elements = list(told(stated, parts))
    random.Random(parts).shuffle(elements)
    with beam.Pipeline("FnApiRunner") as pipeline:
        made = (
            pipeline
            | beam.Create(elements)
            | entities.NumberEntities(
                str(directory), CkgConfig(min_attribute_count=min_count, ids_per_file=ids_per_file), Exchange(parts)
            )
        )
        counts = made[COUNTS] | beam.CombinePerKey(sum)
        for name, found in (("files", made["files"]), ("counts", counts)):
            found | f"Repr{name}" >> beam.Map(repr) | name >> beam.io.WriteToText(
                str(directory / f".{name}"), shard_name_template=""
            )  # fmt: skip

    def rows(name):
        return sorted(eval(line) for line in (directory / f".{name}").read_text().splitlines())

    files, ids = rows("files"), {}
    for group, name, _, _, count, first in files:
        keys = (directory / name).read_text().splitlines()
        assert len(keys) == count
        ids |= {f"{group.removeprefix('entities/')}:{key}": first + i for i, key in enumerate(keys)}
    return ids, files, {name: number for name, number in rows("counts") if number}


@pytest.mark.parametrize("parts", [1, 5])
def test_rare_tags_go_and_users_stay(tmp_path, parts):
    # Tag a stands in 2 triples, b in 1.
    stated = ["user:u has user_tag:a", "user:v has user_tag:a", "user:w has user_tag:b"]
    ids, _, counts = numbered(stated, tmp_path / "out", parts)
    assert set(ids) == {"user:u", "user:v", "user:w", "user_tag:a"}
    assert counts == {"rare.user_tag": 1}


@pytest.mark.parametrize("parts", [1, 5])
def test_a_property_stays_with_its_last_value(tmp_path, parts):
    # c=red: items i, j; c=blue: item i; s=m: item i. (property, has, value) doesn't count.
    stated = [
        "item:i has value:c=red", "item:j has value:c=red", "item:i has value:c=blue", "item:i has value:s=m",
        "property:c has value:c=red", "property:c has value:c=blue", "property:s has value:s=m",
    ]  # fmt: skip
    ids, _, counts = numbered(stated, tmp_path / "out", parts)
    assert set(ids) == {"item:i", "item:j", "value:c=red", "property:c"}
    assert counts == {"rare.value": 2, "rare.property": 1}


def test_an_intention_counts_its_sessions_not_its_keywords(tmp_path):
    stated = ["session:q has intention:buy", "intention:buy has keyword:x", "intention:buy has keyword:y"]
    ids, _, counts = numbered(stated, tmp_path / "out")
    assert set(ids) == {"session:q"}
    assert counts == {"rare.intention": 1, "rare.keyword": 2}


def test_both_ends_of_outside_triples_count(tmp_path):
    # keyword:x is the head of two triples that are no pattern of the logs; so is property:p, of one.
    stated = ["keyword:x near concept:a", "keyword:x near concept:b", "property:p near concept:a"]
    ids, _, counts = numbered(stated, tmp_path / "out")
    assert set(ids) == {"keyword:x", "concept:a", "concept:b"}
    assert counts == {"rare.property": 1}


def test_ids_are_dense_contiguous_and_the_same_for_any_number_of_parts(tmp_path):
    sizes = (("zebra", 3), ("item", 30), ("user", 50), ("actor", 2))
    stated = [f"{kind}:{kind}{i} near actor:actor{i % 2}" for kind, n in sizes for i in range(n)]
    one, files, _ = numbered(stated, tmp_path / "a", parts=1, ids_per_file=10)
    random.Random(3).shuffle(stated)
    other, same_files, _ = numbered(stated, tmp_path / "b", parts=7, ids_per_file=10)
    assert one == other
    assert files == same_files
    assert sorted(one.values()) == list(range(1, 86))
    # Paper types in their order, then others by name.
    spans = {
        kind: sorted(number for name, number in one.items() if name.startswith(f"{kind}:"))
        for kind in ("user", "item", "actor", "zebra")
    }
    assert [(span[0], span[-1]) for span in spans.values()] == [(1, 50), (51, 80), (81, 82), (83, 85)]
    assert sum(group == "entities/user" for group, *_ in files) == 5  # 50 users, 10 a file


def test_two_entities_of_one_hash_are_refused():
    names = pa.table(
        {"type": ["item", "user", "item"], "name": ["a", "b", "a"], "hash": np.array([7, 7, 9], np.uint64)}
    )
    with pytest.raises(DataError, match=r"type item and one of type user .* ckg\.hash_salt"):
        entities.distinct(names)
    twice = names.take([0, 2, 0])
    assert entities.distinct(twice.set_column(2, "hash", pa.array([7, 9, 7], pa.uint64()))).hashes.tolist() == [7, 9]


def test_first_ids():
    # user parts 2 + 1, then item 4, then the outside type: 1, 3, 4, 8.
    sizes = [(("person", 0), 5), (("item", 0), 4), (("user", 1), 1), (("user", 0), 2)]
    assert ids.first_ids(sizes) == {("user", 0): 1, ("user", 1): 3, ("item", 0): 4, ("person", 0): 8}
    assert ids.plan(sizes).spans == {"user": (1, 4), "item": (4, 8), "person": (8, 13)}
    assert ids.plan(sizes).number == 12


def test_id_map_depends_on_the_files_content():
    def groups(digest):
        user = (DataFile("a", 1, "x", count=2, first=1), DataFile("b", 1, digest, count=1, first=3))
        return {"entities/user": user, "entities/item": (DataFile("c", 1, "z", count=4, first=4),)}

    made = ids.id_map(groups("y"), ["r"])
    assert made.ranges == {ckg.USER: (1, 4), ckg.ITEM: (4, 8)}
    assert made.num_ids == 8
    assert made.fingerprint == ids.id_map(groups("y"), ["s"]).fingerprint
    assert made.fingerprint != ids.id_map(groups("other"), ["r"]).fingerprint
