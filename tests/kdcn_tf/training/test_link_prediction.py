import numpy as np
import pytest
import tensorflow as tf
from support.ckg_data import write_ckg

from kdcn_tf import config, manifest
from kdcn_tf.data.triples import read_triples
from kdcn_tf.errors import DataError
from kdcn_tf.training import link_prediction, ranking
from kdcn_tf.training.cluster import InlineScheduler
from kdcn_tf.training.link_prediction import candidate_ids
from kdcn_tf.training.pretrain import Pretraining

SMALL = ["encoder.dim=4", "encoder.neighbors=3", "ckg.stored_neighbors=5"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ranked") / "ckg"
    write_ckg(directory)
    return directory


def pretraining(made, *sets):
    ckg = manifest.read(str(made), manifest.CKG)
    run = Pretraining(InlineScheduler(), config.resolve("gcn", assignments=[*SMALL, *sets]), ckg, str(made))
    run.load_graph()
    return run


@pytest.fixture(scope="module")
def run(made):
    """A model as it begins: 80 entities, 2 relations."""
    return pretraining(made)


def split_triples(run, *splits):
    paths = [run.path_of(file.name) for split in splits for file in run.ckg.files[split]]
    return np.concatenate([read_triples(tf.constant(path), 81, 2).numpy() for path in paths]).tolist()


def by_definition(run, split, candidates):
    """(relation, side, realistic rank) of both queries of each triple, one distance at a time."""
    vectors = np.concatenate(list(run.encoded(0, 81))).astype(np.float64)
    relations = run.model.relation_table.numpy()
    known = {tuple(row) for row in split_triples(run, "train", "valid", *(["test"] if split == "test" else []))}
    for h, r, t in split_triples(run, split):
        for side, true in (("head", h), ("tail", t)):
            others = [e for e in candidates if e != true]
            filtered = [e for e in others if ((e, r, t) if side == "head" else (h, r, e)) not in known]
            triples = [((e, t) if side == "head" else (h, e)) for e in (true, *filtered)]
            distances = [np.linalg.norm(vectors[a] + relations[r] - vectors[b]) for a, b in triples]
            yield r, side, 1 + sum(d < distances[0] for d in distances[1:])


@pytest.mark.parametrize("split", ["valid", "test"])
def test_ranks_are_those_of_the_definition(run, split, monkeypatch):
    for module, name in ((link_prediction, "QUERIES"), (link_prediction, "ENCODED"), (ranking, "SCORES")):
        monkeypatch.setattr(module, name, 7)  # several closures, batches and blocks
    found = run.evaluate(split)
    expected = list(by_definition(run, split, range(1, 81)))
    reciprocal = {(side, r): [1 / rank for q, s, rank in expected if (s, q) == (side, r)]
                  for side in ("head", "tail") for r in (0, 1)}  # fmt: skip
    assert found["mrr"] == pytest.approx(np.mean([1 / rank for _, _, rank in expected]))
    for side in ("head", "tail"):
        assert found["by_side"][side]["mrr"] == pytest.approx(np.mean(reciprocal[side, 0] + reciprocal[side, 1]))
        assert found["by_side"][side]["count"] == len(expected) // 2
    for r, name in enumerate(run.id_map.relations):
        assert found["by_relation"][name]["mrr"] == pytest.approx(
            np.mean(reciprocal["head", r] + reciprocal["tail", r])
        )
        assert found["by_relation"][name]["count"] == len(reciprocal["head", r])
        hits = np.mean([rank <= 10 for q, _, rank in expected if q == r])
        assert found["by_relation"][name]["hits@10"] == pytest.approx(hits)
    assert (found["candidates"], found["sampled"]) == (80, False)


@pytest.mark.parametrize("norm", [1, 2])
def test_given_vectors_rank_as_the_model_does(made, norm):
    """One evaluator for all systems: `rank_triples` of the model's vectors agrees with its own ranking."""
    run = pretraining(made, f"encoder.norm={norm}")
    vectors = np.concatenate(list(run.encoded(0, 81)))
    triples, known = (np.array(split_triples(run, *splits)) for splits in (["test"], ["train", "valid", "test"]))
    ranks = ranking.rank_triples(vectors, run.model.relation_table.numpy(), triples, known, norm)
    found = run.evaluate("test")
    assert ranking.summarize(ranks) == pytest.approx({name: found[name] for name in ranking.summarize(ranks)})


def test_a_larger_graph_is_ranked_among_a_sample(made, caplog):
    run = pretraining(made, "pretrain.eval_candidates=30")
    with caplog.at_level("INFO"):
        found = run.evaluate("test")
    assert (found["candidates"], found["sampled"]) == (30, True)
    assert "test: ranked among 30 sampled entities, not all" in caplog.text
    sample = candidate_ids(81, 30, run.config.pretrain.seed).numpy().tolist()
    expected = list(by_definition(run, "test", sample))
    assert found["mrr"] == pytest.approx(np.mean([1 / rank for _, _, rank in expected]))
    assert found["mean_rank"] == pytest.approx(np.mean([rank for _, _, rank in expected]))


def test_a_sample_takes_one_entity_of_each_span():
    # 10 entities in 4 spans: [1, 3), [3, 6), [6, 8), [8, 11).
    found = {tuple(candidate_ids(11, 4, seed).numpy().tolist()) for seed in range(60)}
    for place, span in enumerate((range(1, 3), range(3, 6), range(6, 8), range(8, 11))):
        assert {ids[place] for ids in found} == set(span)
    np.testing.assert_array_equal(candidate_ids(5, 4, 0), [1, 2, 3, 4])


def test_equal_vectors_tie(made):
    """All vectors equal, as when training has collapsed: nobody is first. 1 + (number of other candidates) / 2."""
    run = pretraining(made, "encoder.layers=0")
    run.model.entity_table.assign(tf.ones_like(run.model.entity_table))
    found = run.evaluate("test")
    assert found["mean_rank"] > 30
    assert found["mrr"] < 0.04
    assert found["tie_gap"] > 0.9


def test_vectors_that_are_no_numbers_rank_nothing(made):
    run = pretraining(made, "encoder.layers=0")
    run.model.entity_table.scatter_nd_update([[7]], [[np.nan] * 4])
    with pytest.raises(DataError, match="entity vectors to rank by : Tensor had NaN values"):
        run.evaluate("valid")
