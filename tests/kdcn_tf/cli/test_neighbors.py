"""Nearest entities, by hand-made vectors."""

import json
import math

import numpy as np
import pytest
from support.raw_logs import run

from kdcn_tf import ckg, keys, manifest
from kdcn_tf.cli import neighbors
from kdcn_tf.export import formats, similarity
from kdcn_tf.export.embeddings import write_type

ITEMS = {"Shoe": (0, 3), "shoelace": (0, 4), "boot": (3, 0), "hat": (0, -1), "Shoehorn": (9, 9)}
USERS = {"u1": (0, 2.5)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A graph of five items, in two files, and a user; their vectors; a graph of the one type "entity"."""
    root = tmp_path_factory.mktemp("neighbors")
    users = {keys.entity_key("user", raw): at for raw, at in USERS.items()}
    write(root / "ckg", root / "emb", {"user": users, "item": ITEMS})
    write(root / "ckg1", root / "emb1", {"entity": {"/m/a": (1, 0), "/m/b": (0, 1)}})
    return root


def write(graph, output, entities):
    graph.mkdir()
    output.mkdir()
    listed, exported, ranges, following = {}, {}, {}, 1
    for name, rows in entities.items():
        ranges[name] = (following, following + len(rows))
        cut = following + (len(rows) + 1) // 2
        spans = [(following, cut), (cut, ranges[name][1])] if len(rows) > 2 else [ranges[name]]
        vectors = np.array(list(rows.values()), np.float32)
        parts = []
        for first, last in spans:
            part = f"{name}-{first}.txt"
            names = list(rows)[first - following : last - following]
            (graph / part).write_text("".join(f"{key}\n" for key in names))
            parts.append(manifest.describe_file(str(graph), part, last - first, first))
        listed[f"entities/{name}"] = tuple(parts)
        start = following
        exported[name] = write_type(str(output), name, spans, lambda a, b, v=vectors, s=start: [v[a - s : b - s]])
        following = ranges[name][1]
    id_map = ckg.IdMap(ranges, ("r",), f"by-hand-{following}")
    manifest.write(str(graph), manifest.Manifest(manifest.CKG, listed, id_map=id_map))
    manifest.write(str(output), manifest.Manifest(manifest.EMBEDDINGS, exported, id_map=id_map, info={"dim": 2}))


def show(capsys, made, *arguments, which=""):
    code = run(neighbors.main, *arguments, f"--embeddings={made / f'emb{which}'}", f"--ckg={made / f'ckg{which}'}")
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def found(capsys, made, *arguments, which=""):
    code, out, err = show(capsys, made, *arguments, "--json", which=which)
    assert code == 0, err
    body = json.loads(out)
    return [(row["key"], row["type"], pytest.approx(row["distance"], abs=1e-6)) for row in body["neighbors"]], body


def test_euclidean_and_cosine(made, capsys):
    rows, body = found(capsys, made, "Shoe", "--k=3")
    assert rows == [("shoelace", "item", 1.0), ("hat", "item", 4.0), ("boot", "item", math.sqrt(18))]
    assert body["exact"]
    rows, _ = found(capsys, made, "Shoe", "--k=3", "--metric=cosine")
    assert rows == [("shoelace", "item", 0.0), ("Shoehorn", "item", 1 - math.sqrt(0.5)), ("boot", "item", 1.0)]


def test_a_user_is_found_by_the_raw_id_and_by_the_pseudonym(made, capsys):
    for name in ("u1", keys.entity_key("user", "u1")):
        rows, body = found(capsys, made, name, "--type=user", "--to=item,user", "--k=2")
        assert rows == [("Shoe", "item", 0.5), ("shoelace", "item", 1.5)]
        assert body["key"] == keys.entity_key("user", "u1")


def test_graphs_of_one_type_need_no_type(made, capsys):
    code, out, err = show(capsys, made, "/m/a", which="1")
    assert code == 0, err
    assert out.splitlines() == [
        "nearest to entity '/m/a' by l2 (exact)", "key   type    distance", "/m/b  entity  1.4142",
    ]  # fmt: skip


def test_an_exported_index_is_used_and_named(made, capsys, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    graph, output = made / "ckg2", made / "emb2"
    write(graph, output, {"item": {f"i{n}": row for n, row in enumerate(rows)}})
    described = manifest.read(str(output), manifest.EMBEDDINGS)
    exported = formats.Exported(str(output), "item", described.files["item"], lambda entry: [])
    monkeypatch.setattr(similarity, "EXACT_ROWS", 100)
    described.files["faiss/item"] = tuple(formats.write_faiss(exported))
    manifest.write(str(output), described)
    near, body = found(capsys, made, "i7", "--k=1", which="2")
    distances = np.linalg.norm(rows - rows[7], axis=1)
    distances[7] = np.inf
    assert not body["exact"]
    assert near[0][2].expected >= distances.min() - 1e-6
    path = output / described.files["faiss/item"][0].name
    path.write_bytes(path.read_bytes()[::-1])
    assert show(capsys, made, "i7", which="2")[0] == 65


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shoe"], "no item 'shoe' in the graph; did you mean 'Shoe', 'Shoehorn', 'shoelace'?"),
        (["nothing"], "no item 'nothing' in the graph"),
        (["u2", "--type=user"], "no user 'u2' in the graph"),
        (["Shoe", "--type=seller"], "--type: no entity type 'seller'"),
        (["Shoe", "--to=seller"], "--to: no entity type 'seller'"),
        ([], "one KEY is needed, got none"),
        (["Shoe", "hat"], "one KEY is needed, got Shoe hat"),
        (["Shoe", "--kk=3"], "unexpected argument '--kk=3'"),
    ],
)
def test_what_is_unknown_is_refused(made, capsys, arguments, message):
    code, _, err = show(capsys, made, *arguments)
    assert code == 2
    assert message in err
    if "--type=user" in arguments:
        assert "did you mean" not in err
