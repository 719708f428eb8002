"""The command that ranks, on the shop of tests/support/served.py."""

import re

import pytest
import tensorflow as tf
from support import served
from support.raw_logs import run

from kdcn_tf import manifest, records
from kdcn_tf.cli import rank
from kdcn_tf.export.request import RankRequest

ROW = re.compile(r"^ +(\d+)  +(\d\.\d{4})  (.*)  \[(\w+); ([^\]]*)\](  <- clicked in the log)?$")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return served.make(tmp_path_factory.mktemp("shop"))


def ranked(shop, capsys, *arguments):
    """Lines about the context, and rows of the ranking as groups of `ROW`."""
    assert run(rank.main, f"--model={shop.root}/served", f"--raw={shop.root}/raw", *arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    title = lines.index("rank  p(click)  item")
    return lines[:title], [ROW.match(line).groups() for line in lines[title + 1 :]]


def probabilities(shop, user: str, query, history: dict, *items: str) -> dict[str, str]:
    request = RankRequest(manifest.read(shop.version, manifest.SERVING))
    known = {str(item["item_id"]): item for item in served.ITEMS}
    inputs = request.inputs(user=user, query=query, history=history, items=[known[item] for item in items])
    signature = tf.saved_model.load(shop.version).signatures["rank"]
    found = signature(**{key: tf.constant(value) for key, value in inputs.items()})["probabilities"].numpy()
    return {item: f"{p:.4f}" for item, p in zip(items, found, strict=True)}


def test_a_logged_session(shop, capsys):
    context, rows = ranked(shop, capsys, "--session=5")
    # At 100, item e was clicked 30 seconds ago; what u1 did before is older than 86.4 seconds.
    assert context == [
        "query: ", "click before: 运动 2012", "cart before: nothing", "favorite before: nothing",
        "purchase before: nothing",
    ]  # fmt: skip
    expected = probabilities(shop, "u1", "", {"click": ["e"]}, "a", "b", "4", "d")
    assert {row[3]: row[1] for row in rows} == expected
    assert [int(row[0]) for row in rows] == [1, 2, 3, 4]
    assert [row[1] for row in rows] == sorted(expected.values(), reverse=True)
    assert {row[3]: (row[2], row[4], bool(row[5])) for row in rows} == {
        "a": ("Red running shoe for the trail", "Sport / Shoes/Boots", False),
        "b": ("Red Running jacket", "Sport", True),
        "4": ("2012", "Books", False),
        "d": ("红色跑步鞋 运动 红色", "运动 / 鞋", False),
    }


def test_the_last_session_with_a_click_is_the_example(shop, capsys):
    assert ranked(shop, capsys) == ranked(shop, capsys, "--session=5")


def test_candidates_of_ones_own(shop, capsys):
    arguments = ("--user=u1", "--query=red shoe", "--candidates=b,c,b,a", "--time=10", "--top=2")
    context, rows = ranked(shop, capsys, *arguments)
    # Two clicks are kept: b at 9 and c at 4, not d at 10.
    assert context[:2] == ["query: red shoe", "click before: Red Running jacket; Amélie's café shoe"]
    expected = probabilities(shop, "u1", "red shoe", {"click": ["b", "c"], "purchase": ["4"]}, "b", "c", "a")
    assert len(rows) == 2
    assert [row[1] for row in rows] == sorted(expected.values(), reverse=True)[:2]
    assert not any(row[5] for row in rows)


def test_without_a_time_all_behaviours_count(shop, capsys):
    context, _ = ranked(shop, capsys, "--user=7", "--candidates=a")
    assert context[1:3] == ["click before: Red running shoe for the trail; 2012", "cart before: Red Running jacket"]
    context, rows = ranked(shop, capsys, "--candidates=a", "--query=red")
    assert context[1] == "click before: nothing"
    assert {row[3]: row[1] for row in rows} == probabilities(shop, "", "red", {}, "a")


def test_behaviours_of_items_outside_the_logs_do_not_count(shop, tmp_path, capsys):
    streams = served.STREAMS | {"items": [item for item in served.ITEMS if item["item_id"] != "e"]}
    served.write_raw(tmp_path / "raw", streams)
    context, rows = ranked(shop, capsys, f"--raw={tmp_path}/raw", "--session=5")
    assert context[1] == "click before: nothing"
    assert {row[3]: row[1] for row in rows} == probabilities(shop, "u1", "", {}, "a", "b", "4", "d")


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ([], 2, "--model: is required"),
        (["--model={root}/served"], 2, "--raw: is required"),
        (["--model={root}/served", "--raw={root}/raw", "--session=s1", "--candidates=a"], 2, "not together with"),
        (["--model={root}/served", "--raw={root}/raw", "--session=s1", "--user=u"], 2, "not together with --user"),
        (["--model={root}/served", "--raw={root}/raw", "--user=u1"], 2, "--candidates: is required with --user or"),
        (["--model={root}/served", "--raw={root}/raw", "--candidates=a,zz"], 65, "'zz' isn't in the items of"),
        (["--model={root}/served", "--raw={root}/raw", "--session=zz"], 65, "no session 'zz'"),
        (["--model={root}/served", "--raw={root}/ctr"], 65, "kind 'ctr', expected 'raw'"),
        (["--model={root}/raw", "--raw={root}/raw", "--candidates=a"], 65, "holds no version of a served model"),
        (["--model={root}/model", "--raw={root}/raw", "--candidates=a"], 65, "holds no version of a served model"),
    ],
)
def test_wrong_flags_have_a_message(shop, capsys, flags, code, message):
    assert run(rank.main, *(flag.format(root=shop.root) for flag in flags)) == code
    assert message in capsys.readouterr().err


def test_requests_use_the_names_of_the_signature(shop):
    inputs = RankRequest(manifest.read(shop.version, manifest.SERVING)).inputs(
        user="u1", query="red", history={}, items=served.ITEMS[:1]
    )
    signature = tf.saved_model.load(shop.version).signatures["rank"]
    assert set(inputs) == set(signature.structured_input_signature[1])
    assert records.DENSE in inputs
