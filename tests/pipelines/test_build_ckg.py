"""The whole job on logs small enough to count by hand."""

import json
import random
import subprocess
import sys

import pytest
from support.raw_logs import (
    ITEMS,
    SESSIONS,
    USERS,
    ids_of,
    read_group,
    read_triples,
    run,
    streams,
    write_lines,
    write_raw,
)  # fmt: skip

from kdcn_tf import keys, manifest, records
from pipelines import build_ckg

WHOLE = ("--set", "ckg.valid_fraction=0", "--set", "ckg.test_fraction=0")


def built(raw, output, *arguments):
    assert run(build_ckg.main, "--raw", raw, "--output", output, *arguments) == 0
    return manifest.read(str(output), manifest.CKG, check_digests=True)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    directory = tmp_path_factory.mktemp("graph")
    raw = write_raw(directory / "raw", streams())
    return directory / "ckg", built(raw, directory / "ckg", *WHOLE)


def test_counts(graph):
    """By hand.

    Triples: users 3; i1 2 categories + seller + 2 of color=red + 3 keywords = 8; i2 2 + 1 + 6 + 3 = 12; q1 created,
    seller, intention, 2 + 2 keywords = 7; q2 created, 1 keyword = 2: together 32. Twice: (color, has, color=red).
    Rare: tag b 1; size=S and size=M 4; intention buy 3; keyword jacket 1: together 9.
    """
    _, made = graph
    expected = {
        "read.users": 2, "used.users": 2, "read.items": 2, "used.items": 2,
        "read.sessions": 3, "used.sessions": 2, "filtered.sessions.after_train_end": 1,
        "read.triples": 32, "filtered.triples.duplicate": 1, "filtered.triples.rare": 9, "used.triples": 22,
        "rare.user_tag": 1, "rare.value": 2, "rare.property": 1, "rare.intention": 1, "rare.keyword": 1,
    }  # fmt: skip
    assert {name: number for name, number in made.counts.items() if number} == expected


def test_id_ranges(graph):
    _, made = graph
    assert made.require_id_map().ranges == {
        "user": (1, 3), "user_tag": (3, 4), "item": (4, 6), "category": (6, 9), "seller": (9, 10),
        "property": (10, 11), "value": (11, 12), "session": (12, 14), "keyword": (14, 17),
    }  # fmt: skip


def test_triples_and_relations(graph):
    directory, made = graph
    names = {number: f"{kind}:{key}" for (kind, key), number in ids_of(directory, made).items()}
    relations = made.require_id_map().relations
    found = {(names[h], relations[r], names[t]) for h, r, t in read_triples(directory, made)}
    u1, q1 = "user:" + keys.entity_key("user", "u1"), "session:" + keys.entity_key("session", "q1")
    assert len(found) == 22
    assert {(h, t) for h, r, t in found if r == "user.created.session"} >= {(u1, q1)}
    assert {(h, t) for h, r, t in found if r == "item.belong_to.category"} == {
        ("item:i1", "category:Sport"), ("item:i1", "category:Sport/Shoes"),
        ("item:i2", "category:Sport"), ("item:i2", "category:Sport/Jackets"),
    }  # fmt: skip
    assert {(h, t) for h, r, t in found if r == "property.has.value"} == {("property:color", "value:color=red")}
    assert made.info["relation_patterns"]["session.relate_to.seller"] == ["session", "relate_to", "seller"]


def test_adjacency_is_that_of_the_triples(graph):
    directory, made = graph
    around = {}
    for head, _, tail in read_triples(directory, made):
        around.setdefault(head, set()).add(tail)
        around.setdefault(tail, set()).add(head)
    (block,) = read_group(directory, made, "adjacency")
    stored = made.info["stored_neighbors"]
    assert block[records.FIRST_ID] == [1]
    for row, degree in enumerate(block[records.DEGREE]):
        kept = block[records.NEIGHBORS][row * stored : (row + 1) * stored]
        assert degree == len(around[row + 1])
        assert {i for i in kept if i} == around[row + 1]


def test_no_raw_user_or_session_id_is_written(graph):
    directory, made = graph
    for group in ("user", "session"):
        for entry in made.group(f"entities/{group}"):
            assert all(len(key) == 24 for key in (directory / entry.name).read_text().splitlines())


def test_held_out_triples_are_not_in_the_adjacency(tmp_path):
    raw = write_raw(tmp_path / "raw", streams())
    made = built(raw, tmp_path / "ckg", "--set", "ckg.valid_fraction=0.3", "--set", "ckg.test_fraction=0.3")
    parts = {split: read_triples(tmp_path / "ckg", made, split) for split in ("train", "valid", "test")}
    assert sum(map(len, parts.values())) == 22
    assert all(parts.values())
    edges = {(min(h, t), max(h, t)) for h, _, t in parts["train"]}
    (block,) = read_group(tmp_path / "ckg", made, "adjacency")
    assert sum(block[records.DEGREE]) == 2 * len(edges)


def test_reordered_and_split_input_gives_identical_files(tmp_path):
    rows = streams(items=[*ITEMS, ITEMS[0] | {"title": "another title"}])
    raw = write_raw(tmp_path / "raw", rows)
    globs = []
    for name in ("users", "items", "sessions"):
        mixed = random.Random(5).sample(rows[name], len(rows[name]))
        write_lines(tmp_path / f"{name}-1.jsonl", mixed[:1])
        write_lines(tmp_path / f"{name}-2.jsonl", mixed[1:])
        globs.append(f"--{name}={tmp_path}/{name}-*.jsonl")
    first = built(raw, tmp_path / "a", "--set", "ckg.ids_per_file=3")
    code = run(build_ckg.main, *globs, "--output", tmp_path / "b", "--set", "time.train_end=50",
               "--set", "ckg.ids_per_file=3", "--direct_running_mode=multi_processing",
               "--direct_num_workers=2")  # fmt: skip
    assert code == 0
    second = manifest.read(str(tmp_path / "b"), manifest.CKG, check_digests=True)
    assert (first.files, first.counts, first.id_map) == (second.files, second.counts, second.id_map)
    assert first.counts["filtered.items.duplicate"] == 1


def test_extra_triples_and_interactions_need_known_items(tmp_path, capsys):
    behaviors = [
        {"user_id": "u1", "item_id": "i1", "behavior": "click", "timestamp": 5},
        {"user_id": "u1", "item_id": "nowhere", "behavior": "click", "timestamp": 5},
        {"user_id": "u1", "item_id": "i1", "behavior": "click", "timestamp": 500},
    ]
    extra = ["i1\tdirector\tAnn", "nowhere\tdirector\tAnn", "i2\tdirector", "i2\tgenre\tNoir"]
    raw = write_raw(tmp_path / "raw", streams(behaviors=behaviors), extra)
    made = built(raw, tmp_path / "ckg", *WHOLE, "--set", "ckg.interactions=true", "--set", "logs.max_bad_share=0.5")
    counts = made.counts
    assert (counts["read.behaviors"], counts["used.behaviors"], counts["dead.behaviors"]) == (3, 1, 1)
    assert counts["filtered.behaviors.after_train_end"] == 1
    assert (counts["read.extra/db"], counts["used.extra/db"], counts["dead.extra/db"]) == (4, 2, 2)
    (entry,) = made.group("dead_letters")
    letters = [json.loads(line) for line in (tmp_path / "ckg" / entry.name).read_text().splitlines()]
    found = {(letter["file"].rsplit("/")[-1], letter["line"], letter["field"], letter["reason"]) for letter in letters}
    assert found == {
        ("behaviors.jsonl", 2, "item_id", "unknown item"),
        ("db.tsv", 2, "head", "unknown item"),
        ("db.tsv", 3, "", "2 columns, expected head, relation, tail"),
    }
    relations = made.require_id_map().relations
    assert relations[-3:] == ("user.interacted.item", "item.director.concept", "item.genre.concept")
    assert made.require_id_map().ranges["concept"][1] == made.require_id_map().num_ids


def test_relations_with_equal_hashes_are_refused(tmp_path, capsys):
    """Both have pattern hash 400939432; they were one relation, which had the name of one of them."""
    raw = write_raw(tmp_path / "raw", streams())
    (tmp_path / "extra.tsv").write_text("i1\trel243013\tAnn\ni2\trel259334\tBob\n")
    given = ("--raw", raw, f"--extra_triples={tmp_path}/extra.tsv:item:concept", *WHOLE)
    assert run(build_ckg.main, *given, "--output", tmp_path / "ckg") == 65
    message = "relations item.rel243013.concept and item.rel259334.concept have the same 32-bit hash; rename one"
    assert message in capsys.readouterr().err
    assert run(build_ckg.main, *given, "--output", tmp_path / "ckg", "--set=ckg.hash_salt=1") == 0
    made = manifest.read(str(tmp_path / "ckg"), manifest.CKG)
    assert {"item.rel243013.concept", "item.rel259334.concept"} < set(made.require_id_map().relations)
    assert len(read_triples(tmp_path / "ckg", made)) == 22 + 2


def test_too_many_bad_records_fail_and_leave_the_dead_letters(tmp_path, capsys):
    raw = write_raw(tmp_path / "raw", streams(users=[*USERS, "{", '{"user_id": 1.5}']))
    assert run(build_ckg.main, "--raw", raw, "--output", tmp_path / "ckg") == 65
    assert "users: 2 of 4 records are bad, more than logs.max_bad_share=0.01; see" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "ckg").iterdir()] == ["dead_letters-00000-of-00001.jsonl"]


def test_name_mode_shares_relations(tmp_path):
    raw = write_raw(tmp_path / "raw", streams())
    made = built(raw, tmp_path / "ckg", "--set", "ckg.relation_mode=name")
    assert made.require_id_map().relations == ("has", "belong_to", "created", "relate_to")
    assert ["property", "has", "value"] in made.info["relation_patterns"]["has"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--output={tmp}/out"], 2, "--raw: is required"),
        (["--raw={tmp}/raw"], 2, "--output: is required"),
        (["--raw={tmp}/raw", "--items=x", "--output={tmp}/out"], 2, "--raw: not together with --items"),
        (["--items={tmp}/items.jsonl", "--output={tmp}/out"], 2, "--set time.train_end="),
        (["--items={tmp}/no*", "--output={tmp}/out"], 65, "--items: no file matches"),
        (["--items={tmp}/empty", "--output={tmp}/out"], 65, "empty: the file is empty"),
        (["--users={tmp}/items.jsonl", "--set=time.train_end=1", "--output={tmp}/out"], 65, "items: the input"),
        (["--raw={tmp}/nothing", "--output={tmp}/out"], 65, "not a finished raw dataset"),
        (["--raw={tmp}/raw", "--output={tmp}/out", "--mistyped=1"], 2, "--mistyped: neither"),
        (["--raw={tmp}/raw", "--output={tmp}/raw"], 2, "raw too; name another directory"),
        (["--raw={tmp}/raw", "--extra_triples=x", "--output={tmp}/out"], 2, "expected GLOB:HEAD_TYPE:TAIL_TYPE"),
        (["--raw={tmp}/raw", "--extra_triples={tmp}/*l:a:B/c", "--output={tmp}/out"], 2, "isn't an entity type"),
    ],
)  # fmt: skip
def test_wrong_input_has_a_message_and_an_exit_code(tmp_path, capsys, arguments, code, message):
    write_raw(tmp_path / "raw", streams())
    write_lines(tmp_path / "items.jsonl", ITEMS)
    (tmp_path / "empty").touch()
    assert run(build_ckg.main, *(argument.format(tmp=tmp_path) for argument in arguments)) == code
    assert message in capsys.readouterr().err


def test_a_graph_without_training_triples_is_refused(tmp_path, capsys):
    raw = write_raw(tmp_path / "raw", streams(users=USERS[:1], items=ITEMS[:1], sessions=SESSIONS[2:]))
    held_out = ("--set=ckg.valid_fraction=0.9999", "--set=ckg.test_fraction=0")
    assert run(build_ckg.main, "--raw", raw, "--output", tmp_path / "ckg", *held_out) == 65
    assert "the input yields nothing for 'train'" in capsys.readouterr().err


def test_exit_code_of_the_process(tmp_path):
    command = [sys.executable, "-m", "pipelines.build_ckg", "--raw", str(tmp_path), "--output", str(tmp_path / "o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 65
    assert "manifest.json: no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_changed_raw_file_is_refused(tmp_path, capsys):
    raw = write_raw(tmp_path / "raw", streams())
    write_lines(raw / "items.jsonl", ITEMS[:1])
    assert run(build_ckg.main, "--raw", raw, "--output", tmp_path / "ckg") == 65
    assert "items.jsonl" in capsys.readouterr().err


def entities_of(directory, made):
    """{(type, key): id} of a graph."""
    return {
        (group.removeprefix("entities/"), key): file.first + i
        for group, files in made.files.items()
        if group.startswith("entities/")
        for file in files
        for i, key in enumerate((directory / file.name).read_text().splitlines())
    }


@pytest.fixture(scope="module")
def grown(graph, tmp_path_factory):
    """A graph of one more user, item and relation, on the base of `graph`."""
    directory = tmp_path_factory.mktemp("grown")
    item = {"item_id": "i9", "title": "green running hat", "category": ["Sport", "Hats"], "seller_id": "s1"}
    today = streams(users=[*USERS, {"user_id": "u9", "tags": ["a", "new"]}], items=[*ITEMS, item], sessions=SESSIONS)
    raw = write_raw(directory / "raw", today, ["i9\tdirector\tAnn", "i1\tdirector\tAnn"])
    base, _ = graph
    return directory / "ckg", built(raw, directory / "ckg", *WHOLE, "--base", base)


def test_a_grown_graph_keeps_the_ids_of_its_base(graph, grown):
    (base_dir, base), (directory, made) = graph, grown
    before, after = entities_of(base_dir, base), entities_of(directory, made)
    assert {name: after[name] for name in before} == before
    new = sorted(after[name] for name in set(after) - set(before))
    assert new == list(range(base.id_map.num_ids, made.id_map.num_ids))
    # u9, i9, Sport/Hats and the outside type's Ann; the tag "new" and the words green and hat are rare.
    kinds = sorted(kind for kind, _ in set(after) - set(before))
    assert kinds == ["category", "concept", "item", "user"]
    assert made.id_map.relations[: len(base.id_map.relations)] == base.id_map.relations
    assert made.id_map.relations[len(base.id_map.relations) :] == ("item.director.concept",)


def test_the_manifest_says_where_new_ids_are(graph, grown):
    (_, base), (_, made) = graph, grown
    first = base.id_map.num_ids
    assert made.id_map.ranges == {**base.id_map.ranges, "concept": (first + 3, first + 4)}
    assert made.id_map.grown == {
        "user": ((first, first + 1),), "item": ((first + 1, first + 2),), "category": ((first + 2, first + 3),),
    }  # fmt: skip
    assert made.info["base"] == {
        "id_map": base.id_map.fingerprint, "num_ids": first, "relations": list(base.id_map.relations),
        "appended": {
            "user": [[first, first + 1]], "item": [[first + 1, first + 2]], "category": [[first + 2, first + 3]],
            "concept": [[first + 3, first + 4]],
        },
    }  # fmt: skip
    assert sum(file.count for file in made.group("adjacency")) == made.id_map.num_ids - 1


def test_new_ids_that_follow_the_base_s_own_are_named(graph, tmp_path):
    """The base's last type is keyword, so the range of a new keyword is one with that of the old ones."""
    base_dir, base = graph
    items = [{**item, "title": "zebra"} for item in ITEMS]
    made = built(write_raw(tmp_path / "raw", streams(items=items)), tmp_path / "ckg", *WHOLE, "--base", base_dir)
    first = base.id_map.num_ids
    assert made.id_map.range_of("keyword")[1] == made.id_map.num_ids == first + 1
    assert made.info["base"]["appended"] == {"keyword": [[first, first + 1]]}


def test_growing_twice_gives_the_same_ids_for_what_was_there(grown, tmp_path):
    directory, before = grown
    raw = write_raw(tmp_path / "raw", streams(users=[{"user_id": "u0", "tags": ["a"]}]))
    made = built(raw, tmp_path / "ckg", *WHOLE, "--base", directory)
    kept = entities_of(directory, before)
    after = entities_of(tmp_path / "ckg", made)
    assert {name: after[name] for name in kept} == kept
    assert len(after) == len(kept) + 1
    assert made.id_map.spans("user")[1:] == (
        (before.id_map.grown["user"][0]), (before.id_map.num_ids, before.id_map.num_ids + 1),
    )  # fmt: skip


def test_a_base_is_not_overwritten_by_what_grows_from_it(graph, tmp_path, capsys):
    base, _ = graph
    (tmp_path / "link").symlink_to(base)
    before = {path.name: path.read_bytes() for path in base.iterdir()}
    raw = write_raw(tmp_path / "raw", streams())
    for output in (base, tmp_path / "link"):
        capsys.readouterr()
        assert run(build_ckg.main, "--raw", raw, "--base", base, "--output", output, *WHOLE, "--overwrite") == 2
        assert f"--base {base}: is --output {output} too" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in base.iterdir()} == before


def test_a_base_of_later_or_other_relations_is_refused(graph, tmp_path, capsys):
    base, _ = graph
    raw = write_raw(tmp_path / "raw", streams())
    early = ("--base", base, "--set", "time.train_end=20")
    assert run(build_ckg.main, "--raw", raw, "--output", tmp_path / "a", *early) == 65
    assert "holds events up to 50" in capsys.readouterr().err
    other = ("--base", base, "--set", "ckg.relation_mode=name")
    assert run(build_ckg.main, "--raw", raw, "--output", tmp_path / "b", *other) == 2
    assert run(build_ckg.main, "--raw", raw, "--output", tmp_path / "c", "--base", tmp_path) == 65


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("ckg.hash_salt=3", "ckg.hash_salt=3, but --base {} was built with 0"),
        ("ckg.valid_fraction=0.2", "ckg.valid_fraction=0.2, but --base {} was built with 0.0"),
        ("ckg.test_fraction=0.2", "ckg.test_fraction=0.2, but --base {} was built with 0.0"),
    ],
)
def test_a_base_that_holds_out_other_triples_is_refused(graph, tmp_path, capsys, setting, message):
    """A model of the base was trained on some of those that would be held out."""
    raw, (base, _) = write_raw(tmp_path / "raw", streams()), graph
    given = ("--raw", raw, "--output", tmp_path / "ckg", "--base", base, *WHOLE, "--set", setting)
    assert run(build_ckg.main, *given) == 2
    assert message.format(base) in capsys.readouterr().err
    assert not (tmp_path / "ckg").exists()
