"""What users do wrong, across commands: one line that names the culprit, the right exit code, nothing lost."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support import served
from support.ckg_data import write_ckg
from support.ctr_data import write_ctr
from support.raw_logs import run

from kdcn_tf import manifest, records
from kdcn_tf.cli import main as cli
from kdcn_tf.runs import CHECKPOINTS
from pipelines.writing import tfrecord

PRETRAIN = ["encoder.dim=4", "kdcn.heads=2", "encoder.neighbors=3", "pretrain.batch_size=32", "pretrain.chunks=2",
            "pretrain.negatives=4", "pretrain.epochs=1"]  # fmt: skip
FINETUNE = ["kdcn.dim=4", "kdcn.heads=2", "kdcn.filters=2", "kdcn.deep_units=[4]", "kdcn.match_dim=2",
            "kdcn.pretrained=false", "finetune.epochs=1"]  # fmt: skip

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Finished datasets: shop/{raw,ckg,ctr,model,served}, and graph and clicks of other data."""
    root = tmp_path_factory.mktemp("made")
    (root / "shop").mkdir()
    served.make(root / "shop")
    write_ckg(root / "graph", train_files=1)
    write_ctr(root / "clicks", train_files=1)
    return root


@pytest.fixture
def error(made, tmp_path, capsys):
    """Runs a command on a changed copy of a dataset, `{}` in its arguments; gives its exit code and message."""

    def refused(command: str, dataset: str, change: Change, *sets: str) -> tuple[int, str]:
        copy = tmp_path / "copy"
        shutil.copytree(made / dataset, copy)
        change(copy)
        arguments = command.format(copy, shop=made / "shop").split()
        output = [] if arguments[0] == "rank" or "--output" in command else [f"--output={tmp_path / 'out'}"]
        code = run(cli.main, *arguments, *output, *(f"--set={text}" for text in sets))
        shown = capsys.readouterr().err
        assert "Traceback" not in shown
        *_, last = shown.splitlines()
        name, _, message = last.partition(": error: ")
        assert name == f"kdcn {arguments[0]}", shown
        assert not list(tmp_path.glob("out/manifest.json"))
        return code, message.replace(f"{copy}/", "").replace(str(copy), "copy").replace(f"{made}/", "")

    return refused


def edited(change: Callable[[dict], object]) -> Change:
    """Changes the manifest's JSON."""

    def run_(directory: Path) -> None:
        body = json.loads((directory / manifest.MANIFEST).read_text())
        change(body)
        (directory / manifest.MANIFEST).write_text(json.dumps(body))

    return run_


def rewritten(group: str, change: Callable[[bytes], bytes], agrees: bool = True) -> Change:
    """Changes the content of a group's first file; unless `agrees`, the manifest describes the old one."""

    def run_(directory: Path) -> None:
        def describe(body: dict) -> None:
            entry = body["files"][group][0]
            path = directory / entry["name"]
            path.write_bytes(change(path.read_bytes()))
            if agrees:
                found = manifest.describe_file(str(directory), entry["name"])
                entry |= {"bytes": found.bytes, "sha256": found.sha256}

        edited(describe)(directory)

    return run_


def without(group: str) -> Change:
    return edited(lambda body: body["files"].pop(group))


def labelled(value: float) -> bytes:
    """A file of 120 examples of one label, without behaviours, keywords and categories."""
    ints = {key: [1] for key in (records.TIMESTAMP, records.SESSION, records.USER, records.ITEM)}
    floats = {records.LABEL: [value], records.WEIGHT: [1.0], records.DENSE: [1.0, 1.0]}
    return tfrecord([records.encode(ints, floats)] * 120)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (rewritten("valid", lambda data: data[:-9]), 65, "valid-0.tfrecord: truncated record at 0"),
        (rewritten("train", lambda data: data[:-1] + b"?"), 65, "train-0.tfrecord: corrupted record at"),
        (rewritten("train", lambda _: tfrecord([b"\xff"])), 65, "train-0.tfrecord: Could not parse example input"),
        (
            rewritten("train", lambda _: tfrecord([records.encode({"head": [1], "relation": [0], "tail": [99]})])),
            65,
            "train-0.tfrecord: assertion failed: [train-0.tfrecord] [tail id outside [1, 81):] [99]",
        ),
        (rewritten("adjacency", lambda _: b""), 65, "adjacency.tfrecord: Dataset was empty."),
        (rewritten("train", lambda _: labelled(1.0)), 65, "train-0.tfrecord: 0 rows, but the manifest says"),
        (rewritten("test", lambda data: data + b"x", agrees=False), 65, "test-0.tfrecord: "),
        (edited(lambda body: body["files"].update(adjacency=[])), 65, "copy: adjacency: 0 rows, but the manifest"),
        (edited(lambda body: body["files"].update(train=[])), 65, "the dataset has no training files"),
        (edited(lambda body: body["info"].pop("stored_neighbors")), 65, "ckg manifest: info.stored_neighbors: exp"),
        (edited(lambda body: body["info"].update(stored_neighbors=2)), 2, "--set: encoder.neighbors: 3 sampled of"),
        (edited(lambda body: body.update(id_map=None)), 65, "ckg dataset has no id map"),
    ],
)
def test_train_ckg_on_a_wrong_graph(error, change, code, message):
    found = error("train-ckg --ckg={}", "graph", change, *PRETRAIN)
    assert (found[0], found[1][: len(message)]) == (code, message)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (without("valid"), 65, "ctr dataset has no files 'valid'"),
        (edited(lambda body: body["files"].update(valid=[])), 65, "copy: split 'valid' has no examples; move time."),
        (rewritten("train", lambda _: labelled(7.0)), 65, "train-0.tfrecord: assertion failed:"),
        (rewritten("train", lambda data: data[:-9]), 65, "train-0.tfrecord: truncated record at"),
        (edited(lambda body: body["info"]["dense"].update(mean=[1])), 65, "ctr manifest: info.dense: names, mean and"),
        (edited(lambda body: body["info"].update(max_behaviors=-3)), 65, "ctr manifest: info.max_behaviors: expected"),
        (
            edited(lambda body: body["info"].update(behaviors=["a b"])),
            2,
            "input dataset: logs.behaviors: element 'a b'",
        ),
        (edited(lambda body: body["id_map"]["ranges"].pop("item")), 65, "ctr manifest: the id map has no entities of"),
    ],
)
def test_train_kdcn_on_wrong_examples(error, change, code, message):
    found = error("train-kdcn --ctr={}", "clicks", change, *FINETUNE)
    assert (found[0], found[1][: len(message)]) == (code, message)


def test_a_model_is_not_overwritten_by_what_starts_from_it(made, tmp_path, capsys):
    assert train(made, tmp_path / "model") == 0
    before = (tmp_path / "model/weights.index").read_bytes()
    code = run(cli.main, "train-ckg", f"--ckg={made}/graph", f"--warm_start={tmp_path}/./model",
               f"--output={tmp_path}/model", "--overwrite", *(f"--set={text}" for text in PRETRAIN))  # fmt: skip
    assert (code, f"--warm_start {tmp_path}/./model: is --output {tmp_path}/model too" in capsys.readouterr().err) == (
        2, True,
    )  # fmt: skip
    assert (tmp_path / "model/weights.index").read_bytes() == before


@pytest.mark.parametrize(
    ("command", "dataset", "change", "code", "message"),
    [
        ("evaluate --ctr={} --baseline=lr", "clicks", rewritten("train", lambda _: labelled(0.0)), 65,
         "copy: split 'train' has labels of one class only: nothing to fit 'lr' to"),
        ("evaluate --ctr={} --baseline=lr", "clicks", edited(lambda body: body["files"].update(test=[])), 65,
         "copy: split 'test' has no examples"),
        ("evaluate --ctr={shop}/ctr --model=a={0} --output={0}", "shop/model", lambda _: None, 2, "copy: not empty"),
        ("evaluate --ctr={shop}/ctr --model=a={0} --overwrite --output={0}", "shop/model", lambda _: None, 65,
         "copy: holds a dataset of kind 'kdcn-model'; --overwrite replaces 'evaluation' only"),
        ("export-model --model={shop}/model --ckg={shop}/ckg --ctr={}", "shop/ctr",
         edited(lambda body: body["info"].update(max_behaviors=3)), 65,
         "copy: other features than the model was trained on: behavior_cart is 3, was 2; "),
        ("export-model --model={} --ckg={shop}/ckg --ctr={shop}/ctr", "shop/model",
         rewritten("weights", lambda data: data[:-9]), 65, "weights: "),
        ("export-model --model={shop}/model --ckg={} --ctr={shop}/ctr", "shop/ckg", without("entities/item"), 65,
         "copy: files 'entities/item' hold 0 keys of 6"),
        ("build-ctr --raw={shop}/raw --ckg={}", "shop/ckg", without("entities/item"), 65,
         "copy: files 'entities/item' hold 0 keys of 6"),
        ("build-ctr --raw={shop}/raw --ckg={}", "shop/ckg",
         rewritten("entities/item", lambda data: data.upper(), agrees=False), 65,
         "entities-item-000000000004.txt: its content"),
        ("build-ctr --raw={shop}/raw --ckg={}", "shop/ckg", edited(lambda body: body["info"].pop("time")), 65,
         "the knowledge graph's manifest has no info.time.train_end"),
        ("rank --raw={shop}/raw --model={}", "shop/served",
         lambda directory: (directory / "1/assets/item.txt").write_text("a\n" * 6), 65, "1/assets/item.txt: "),
        ("rank --model={shop}/served --time=nan --raw={}", "shop/raw", lambda _: None, 2, "--time: must be a number"),
        ("rank --model={shop}/served --user=u1 --candidates=a --raw={}", "shop/raw",
         rewritten("behaviors", lambda _: b'{"user_id": "u1", "behavior": ["click"]}\n'), 65,
         "behaviors.jsonl:1: behavior: not a text"),
    ],
)  # fmt: skip
def test_wrong_input_of_other_commands(error, command, dataset, change, code, message):
    found = error(command, dataset, change)
    assert (found[0], found[1][: len(message)]) == (code, message)


@pytest.mark.parametrize(
    ("flags", "change", "code", "message"),
    [
        ("", rewritten("items", lambda _: b"\n\n"), 65, "the input yields nothing for "),
        ("", edited(lambda body: body["files"].pop("items")), 65, "items: the input has no such stream; it has: "),
        ("", edited(lambda body: body["info"].update(config=[1])), 65, "copy: the manifest's info.config isn't an obj"),
        (" --runner=Foo", lambda _: None, 2, "--runner: Unexpected pipeline runner: Foo."),
        (" --direct_num_workers=x", lambda _: None, 2, "argument --direct_num_workers: invalid int value: 'x'"),
        (" extra", lambda _: None, 2, "unexpected argument 'extra'"),
    ],
)
def test_build_ckg_on_wrong_input(error, flags, change, code, message):
    found = error("build-ckg --raw={} --set=time.train_end=50" + flags, "shop/raw", change)
    assert (found[0], found[1][: len(message)]) == (code, message)


@pytest.mark.parametrize(
    ("batch_size", "message"),
    [(32, "graph/train-0.tfrecord: assertion failed: [step 1: loss is not finite]"),
     # One step only: its loss is that of the initial weights, and its update is the last.
     (4096, "out/checkpoints: not saved: weights of entities aren't finite")],
)  # fmt: skip
def test_numbers_that_went_wrong_are_not_saved(made, tmp_path, capsys, batch_size, message):
    assert train(made, tmp_path / "out", "pretrain.learning_rate=3e38", f"pretrain.batch_size={batch_size}") == 65
    assert message in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("ckpt*"))


@pytest.fixture
def unfinished(made, tmp_path) -> Path:
    """A run of train-ckg that was stopped after its checkpoint."""
    run_ = tmp_path / "run"
    assert train(made, run_) == 0
    for path in (run_ / manifest.MANIFEST, *run_.glob("weights.*")):
        path.unlink()
    return run_


def train(made: Path, output: Path, *sets: str, overwrite: bool = False) -> int:
    flags = [f"--set={text}" for text in (*PRETRAIN, *sets)] + ["--overwrite"] * overwrite
    return run(cli.main, "train-ckg", f"--ckg={made / 'graph'}", f"--output={output}", *flags)


def test_a_run_is_resumed_by_what_began_it_only(made, unfinished, capsys):
    assert train(made, unfinished, "pretrain.epochs=2") == 2
    assert "another configuration or input (pretrain: 'epochs: 1' there, 'epochs: 2' now)" in capsys.readouterr().err
    edited(lambda body: body["counts"].update(x=1))(made / "graph")
    assert train(made, unfinished) == 2
    assert "another configuration or input ('ckg: " in capsys.readouterr().err
    edited(lambda body: body["counts"].pop("x"))(made / "graph")
    assert train(made, unfinished) == 0


def test_a_broken_checkpoint_is_neither_used_nor_replaced(made, unfinished, capsys):
    data = next((unfinished / CHECKPOINTS).glob("*.data-*"))
    whole = data.read_bytes()
    data.write_bytes(whole[:-9])
    assert train(made, unfinished) == 65
    assert f"{CHECKPOINTS}/ckpt-1: Read less bytes than requested" in capsys.readouterr().err
    data.write_bytes(whole)
    (unfinished / CHECKPOINTS / "checkpoint").write_text("?")
    assert train(made, unfinished) == 65
    assert "checkpoint: doesn't name " in capsys.readouterr().err


def test_a_finished_run_is_replaced_only_on_demand(made, tmp_path, capsys):
    assert train(made, tmp_path / "run") == 0
    before = (tmp_path / "run/manifest.json").read_bytes()
    assert train(made, tmp_path / "run") == 2
    assert "not empty; name a fresh directory" in capsys.readouterr().err
    assert (tmp_path / "run/manifest.json").read_bytes() == before
    assert train(made, tmp_path / "run", "pretrain.seed=2", overwrite=True) == 0
    assert (tmp_path / "run/manifest.json").read_bytes() != before
    assert train(made, tmp_path / "[1]") == 2
    assert "can't have * ? [ ] in its name" in capsys.readouterr().err
