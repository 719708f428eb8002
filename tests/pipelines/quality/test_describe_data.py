"""Statistics, protos and report of datasets that are counted by hand."""

import json
import re

import pytest
from google.protobuf import text_format
from support import described, libraries
from support.raw_logs import run
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from kdcn_tf import ckg, manifest, records
from pipelines import describe_data, writing
from pipelines.quality import tfrecord


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder with `ckg`, `ctr`, and the statistics of each in `of_ckg` and `of_ctr`."""
    directory = tmp_path_factory.mktemp("described")
    described.write_graph(directory / "ckg", weights=described.WEIGHTS)
    described.write_examples(directory / "ctr")
    assert run(describe_data.main, directory / "ckg", "--output", directory / "of_ckg") == 0
    named = ("--ckg", directory / "ckg")
    assert run(describe_data.main, directory / "ctr", *named, "--output", directory / "of_ctr") == 0
    return directory


def statistics(directory):
    return json.loads((directory / "statistics.json").read_text())


def protos(directory):
    ((_, stats),) = tfrecord.read(str(directory / "stats.tfrecord"))
    schema = text_format.Parse((directory / "schema.pbtxt").read_text(), schema_pb2.Schema())
    listed = statistics_pb2.DatasetFeatureStatisticsList.FromString(stats)
    return (
        {feature.name: feature for feature in schema.feature},
        {d.name: (d.num_examples, {f.name: f for f in d.features}) for d in listed.datasets},
    )


def test_a_graph_by_hand(made):
    found = statistics(made / "of_ckg")
    train = found["splits"]["train"]
    assert train["patterns"] == {"user\t<b>\titem": 3, "item\tlikes\titem": 2}
    assert (train["triples"], train["self_loops"]) == (5, 1)
    assert {k: train["weight"][k] for k in ("number", "mean", "max")} == {"number": 5, "mean": 2.2, "max": 4}
    assert (found["splits"]["valid"]["triples"], found["splits"]["test"]["triples"]) == (1, 0)
    # Id 7 is room that no category has yet, and 6 a category without a neighbour.
    assert found["entities"]["category"] == {"entities": 1, "ids": 2}
    degrees = found["degrees"]
    assert {kind: body["histogram"] for kind, body in degrees.items()} == {
        "user": {"1": 1, "2-3": 1}, "item": {"0": 1, "2-3": 2}, "category": {"0": 1},
    }  # fmt: skip
    assert degrees["item"]["largest"] == [[3, 3, "i3"], [4, 2, "<script>"]]
    assert (degrees["item"]["mean"], degrees["item"]["isolated"]) == (5 / 3, 1)
    assert found["sparsity"] == {
        "entities": 6, "triples": 6, "density": 6 / 15, "mean_degree": 8 / 6, "isolated": 2,
    }  # fmt: skip


def test_examples_by_hand(made):
    found = statistics(made / "of_ctr")
    train = found["splits"]["train"]
    assert (train["examples"], train["positives"], train["distinct"]) == (3, 1, {"user": 1, "item": 2})
    by = {name: [body[which]["numbers"] for which in ("examples", "positives")] for name, body in train["by"].items()}
    assert by == {
        "day": [{"0": 2, "1": 1}, {"0": 1}],
        "source": [{"web": 2, "<i>": 1}, {"web": 1}],
        "category": [{"shoes & <caps>": 2, "(none)": 1}, {"shoes & <caps>": 1}],
    }
    click = train["features"]["behavior_click"]
    assert (click["missing"], click["values"], click["oov"]) == (1, 3, 1)
    assert click["lengths"]["numbers"] == {"0": 1, "1": 1, "2": 1}
    assert (train["features"]["user"]["oov"], train["features"]["item"]["oov"]) == (1, 0)
    price = train["dense"]["price"]
    assert [price[k] for k in ("number", "missing", "mean", "std", "min", "max")] == [2, 1, 3, 1, 2, 4]
    assert (found["splits"]["valid"]["positives"], found["splits"]["test"]["examples"]) == (1, 0)


def test_protos_of_a_graph(made):
    schema, stats = protos(made / "of_ckg")
    assert list(schema["relation"].string_domain.value) == ["<b>", "likes"]
    assert {name: number for name, (number, _) in stats.items()} == {"train": 5, "valid": 1, "test": 0, "entities": 6}
    buckets = stats["train"][1]["relation"].string_stats.rank_histogram.buckets
    assert [(b.label, b.sample_count) for b in buckets] == [("<b>", 3), ("likes", 2)]
    degree = stats["entities"][1]["degree/item"].num_stats
    assert (degree.num_zeros, degree.max, degree.mean) == (1, 3, 5 / 3)
    assert stats["train"][1]["weight"].num_stats.mean == 2.2


def test_protos_of_examples(made):
    schema, stats = protos(made / "of_ctr")
    number, train = stats["train"]
    assert number == 3
    written = records.decode(described.EXAMPLES["train"][0])
    assert {name for name in schema if "/" not in name} == set(written)
    assert set(train) <= set(schema)
    assert (schema["user"].int_domain.min, schema["user"].int_domain.max) == (-1, 7)
    assert (schema["position"].int_domain.min, schema["position"].presence.min_fraction) == (-1, 0)
    assert (train["label"].num_stats.mean, train["label"].num_stats.num_zeros) == (pytest.approx(1 / 3), 2)
    click = train["behavior_click"].num_stats.common_stats
    assert (click.num_non_missing, click.num_missing, click.tot_num_values, click.max_num_values) == (2, 1, 3, 2)
    price = train["dense/price"].num_stats
    assert (price.mean, price.std_dev, price.common_stats.num_missing) == (3, 1, 1)


def test_reports_hold_the_numbers_escaped_and_nothing_from_outside(made):
    for name, shown in (("of_ckg", ["1,234,567", "&lt;b&gt;", "&lt;script&gt;", "0.4"]),
                        ("of_ctr", ["0.3333", "&lt;i&gt;", "shoes &amp; &lt;caps&gt;", "1970-01-02"])):  # fmt: skip
        page = (made / name / "report.html").read_text()
        assert all(text in page for text in shown)
        assert not re.search(r"<(b|i|script|caps)>|https?:|<link|<script", page)
        charts = re.findall(r"<svg .*?</svg>", page, re.DOTALL)
        assert len(charts) == page.count("<figure") > 0
        assert all("<path" in chart and "<text" in chart for chart in charts)


def test_statistics_are_a_dataset(made, capsys):
    of_ckg = manifest.read(str(made / "of_ckg"), manifest.STATISTICS, check_digests=True)
    graph = manifest.read(str(made / "ckg"), manifest.CKG)
    assert of_ckg.inputs == {"ckg": graph.fingerprint()}
    assert run(describe_data.main, made / "ckg", "--output", made / "of_ckg") == 2
    assert "not empty" in capsys.readouterr().err
    before = statistics(made / "of_ckg")
    assert run(describe_data.main, made / "ckg", "--output", made / "of_ckg", "--overwrite") == 0
    assert statistics(made / "of_ckg") == before


def damaged(directory, name, data):
    """Changes a file and the manifest with it, so that only its content can tell."""
    (directory / name).write_bytes(data)
    body = json.loads((directory / "manifest.json").read_text())
    for group in body["files"].values():
        for entry in group:
            entry["bytes"] = (directory / entry["name"]).stat().st_size
    (directory / "manifest.json").write_text(json.dumps(body))


def block(**lists):
    return writing.tfrecord([records.encode(lists)])


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("train-0.tfrecord", block(head=[1], relation=[0], tail=[3])[:-2] + b"!!", "train-0.tfrecord: the record at"),
        ("train-0.tfrecord", block(head=[1], relation=[0], tail=[3, 4]), "byte 0 has lists of different lengths"),
        ("train-0.tfrecord", block(head=[1], relation=[2], tail=[3]), "relation 2, but the id map has 2 relations"),
        ("train-0.tfrecord", block(head=[1], relation=[0], tail=[8]), "id 8 belongs to no entity type"),
        ("adjacency-5.tfrecord", block(first_id=[0], degree=[1]), "id 0 belongs to no entity type"),
        ("adjacency-5.tfrecord", block(first_id=[5], degree=[-1]), "or a negative degree"),
    ],
)
def test_a_wrong_graph(tmp_path, capsys, name, data, told):
    damaged(described.write_graph(tmp_path / "ckg"), name, data)
    assert run(describe_data.main, tmp_path / "ckg", "--output", tmp_path / "out") == 65
    assert told in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"label": 2}, "label 2, expected 0 or 1"),
        ({"user": 3}, "user 3 is no id of [1, 3)"),
        ({"item": 2}, "item 2 is no id of [3, 6)"),
    ],
)
def test_wrong_examples(tmp_path, capsys, changes, told):
    row = described.example(**({"day": 0, "user": 1, "item": 3, "label": 1} | changes))
    described.write_examples(tmp_path / "ctr", {"train": [row]})
    assert run(describe_data.main, tmp_path / "ctr", "--output", tmp_path / "out") == 65
    assert told in capsys.readouterr().err


def test_wrong_arguments(made, tmp_path, capsys):
    (tmp_path / "unfinished").mkdir()
    other = ckg.IdMap(described.RANGES, described.RELATIONS, "other")
    described.write_examples(tmp_path / "other", id_map=other)
    for arguments, code, told in (
        ([tmp_path / "unfinished"], 65, "not a finished dataset"),
        ([made / "of_ckg"], 65, "a dataset of kind 'statistics', expected 'ckg' or 'ctr'"),
        ([made / "ckg", "--ckg", made / "ckg"], 2, "--ckg: names the categories of CTR examples"),
        ([tmp_path / "other", "--ckg", made / "ckg"], 65, "ids don't match"),
        ([made / "ckg", "--nonsense=1"], 2, "--nonsense: neither an option"),
        ([], 2, "DATASET: is required"),
    ):
        assert run(describe_data.main, *arguments, "--output", tmp_path / "out") == code
        assert told in capsys.readouterr().err


@pytest.mark.parametrize("library", ["jinja2", "matplotlib", "tensorflow_metadata"])
def test_a_missing_library_is_named_before_the_work(made, tmp_path, capsys, monkeypatch, library):
    libraries.hide(monkeypatch, library)
    assert run(describe_data.main, made / "ckg", "--output", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert f"reports need {library}" in told
    assert "pip install 'kdcn-tf[reports]'" in told
    assert not (tmp_path / "out").exists()
