"""The importer of JDsearch, on a hand-made folder of the same layout and on the public sample."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from support.raw_logs import run

from kdcn_tf import manifest
from pipelines import build_ckg, build_ctr
from pipelines.datasets import import_logs, jdsearch, jdsearch_files

T = "\x18"
SEARCHES = [
    # Product 99 has no metadata. Intervals 10, 20, 30, 40, 50 lie before events 2 to 5 and the search.
    [f"7{T}8", "3_1_99", "3.0_0.0_1.0", f"-1_5{T}6_5{T}6_-1_5{T}6", "1_2_99_2_1", "ORD_CLICK_CART_FLW_CLICK",
     "0_10_20_30_40_50"],
    ["9", "2_1", "0.0_2.0", "", "", "", "0"],
    ["7", "3", "0.0", "8", "3", "CART", "0_5"],
]  # fmt: skip
PRODUCTS = [
    ["1", f"21{T}22", "31", "41", "51", "61", "52", "62", "53", "63", "54", "64", "71"],
    ["2", "23", "", "", "51", "61", "", "", "-1", "", "", "", "-1"],
    ["3", "", "-1", "", "", "", "", "", "", "", "", "", ""],
]
T1, T2, T3 = jdsearch_files.START, jdsearch_files.START + 60, jdsearch_files.START + 120


def write(folder: Path, searches=SEARCHES, products=PRODUCTS, header=True, names=("", "")) -> Path:
    folder.mkdir(exist_ok=True)
    for stem, columns, rows, suffix in (
        (jdsearch_files.SEARCHES, jdsearch_files.SEARCH_COLUMNS, searches, names[0]),
        (jdsearch_files.PRODUCTS, jdsearch_files.PRODUCT_COLUMNS, products, names[1]),
    ):
        lines = [columns] * header + list(rows)
        (folder / f"{stem}{suffix}.txt").write_text("".join("\t".join(line) + "\n" for line in lines))
    return folder


def changed(row: int, column: int, value: str) -> list[list[str]]:
    """`SEARCHES` with one field replaced."""
    rows = [list(one) for one in SEARCHES]
    rows[row][column] = value
    return rows


def imported(folder: Path, output: Path) -> manifest.Manifest:
    assert run(import_logs.main, "jdsearch", "--input", folder, "--output", output) == 0
    return manifest.read(str(output), manifest.RAW, check_digests=True)


def stream(output: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in gzip.open(output / f"{name}.jsonl.gz", "rt", encoding="utf-8")]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("jdsearch")
    imported(write(folder / "in"), folder / "out")
    return folder / "out"


def test_users_and_items(made):
    assert stream(made, "users") == [{"user_id": "u1"}, {"user_id": "u2"}, {"user_id": "u3"}]
    assert stream(made, "items") == [
        {"item_id": "1", "title": "21 22", "keywords": ["21", "22"], "category": ["51", "52", "53", "54"],
         "properties": {"brand": "31"}, "seller_id": "71"},
        {"item_id": "2", "title": "23", "keywords": ["23"], "category": ["51"]},
        {"item_id": "3", "title": "3", "keywords": [], "category": ["unknown"]},
    ]  # fmt: skip


def test_a_session_per_search(made):
    """User 1: one event without a query, a search of two events, one without, the same query anew, the last."""
    assert stream(made, "sessions") == [
        {"session_id": "s1.0", "user_id": "u1", "timestamp": T1 - 140, "keywords": ["5", "6"]},
        {"session_id": "s1.1", "user_id": "u1", "timestamp": T1 - 50, "keywords": ["5", "6"]},
        {"session_id": "s1.2", "user_id": "u1", "timestamp": T1, "keywords": ["7", "8"]},
        {"session_id": "s2.0", "user_id": "u2", "timestamp": T2, "keywords": ["9"]},
        {"session_id": "s3.0", "user_id": "u3", "timestamp": T3 - 5, "keywords": ["8"]},
        {"session_id": "s3.1", "user_id": "u3", "timestamp": T3, "keywords": ["7"]},
    ]


def test_behaviors_lie_before_the_search_by_the_intervals(made):
    """Backwards from the search: 50, 50 + 40, 90 + 30 (product 99, left out), 120 + 20, 140 + 10."""
    assert stream(made, "behaviors") == [
        {"user_id": "u1", "item_id": "1", "behavior": "purchase", "timestamp": T1 - 150},
        {"user_id": "u1", "item_id": "2", "behavior": "click", "timestamp": T1 - 140, "session_id": "s1.0"},
        {"user_id": "u1", "item_id": "2", "behavior": "favorite", "timestamp": T1 - 90},
        {"user_id": "u1", "item_id": "1", "behavior": "click", "timestamp": T1 - 50, "session_id": "s1.1"},
        {"user_id": "u3", "item_id": "3", "behavior": "cart", "timestamp": T3 - 5, "session_id": "s3.0"},
    ]


def test_impressions(made):
    def impression(user, session, timestamp, query, item, label):
        return {
            "session_id": session, "user_id": user, "timestamp": timestamp, "query": query, "item_id": item,
            "label": label, "source": "jdsearch",
        }  # fmt: skip

    assert stream(made, "impressions") == [
        impression("u1", "s1.2", T1, ["7", "8"], "3", 1),
        impression("u1", "s1.2", T1, ["7", "8"], "1", 0),
        impression("u2", "s2.0", T2, ["9"], "2", 0),
        impression("u2", "s2.0", T2, ["9"], "1", 1),
        impression("u3", "s3.1", T3, ["7"], "3", 0),
    ]


def test_the_manifest_counts_what_was_left_out(made):
    found = manifest.read(str(made), manifest.RAW)
    assert found.info["import"] == {
        "behaviors.unknown_item": 1, "impressions.unknown_item": 1, "items.no_name": 1, "items.no_category": 1,
        "items.duplicate": 0,
    }  # fmt: skip
    assert found.info["config"] == {"time.train_end": T2, "time.valid_end": T3}


def test_files_may_lack_the_header_and_may_be_samples(made, tmp_path):
    plain = imported(write(tmp_path / "in", header=False, names=("_sample", "")), tmp_path / "out")
    assert plain.fingerprint() == manifest.read(str(made), manifest.RAW).fingerprint()


def test_duplicate_products_are_counted(tmp_path):
    found = imported(write(tmp_path / "in", products=[*PRODUCTS, PRODUCTS[0]]), tmp_path / "out")
    assert (found.counts["items"], found.info["import"]["items.duplicate"]) == (4, 1)


@pytest.mark.parametrize(
    ("number", "train_end", "valid_end"),
    # Search i of n at 100 i; 25 searches hold out int(2.5) = 2 each. The only one is training, to 60 s after it.
    [(1, 60, 60), (2, 100, 100), (3, 100, 200), (9, 700, 800), (25, 2100, 2300)],
)
def test_split_times(number, train_end, valid_end):
    found = jdsearch.split_times([100 * index for index in range(number)])
    assert found == {"time.train_end": train_end, "time.valid_end": valid_end}


def test_no_search_gives_no_split():
    assert jdsearch.split_times([]) == {}


@pytest.mark.parametrize(
    ("searches", "message"),
    [
        (changed(0, 1, "3_x_99"), "2: candidate_wid_list: not a product id: 'x'"),
        (changed(0, 1, "3_01_99"), "2: candidate_wid_list: not a product id: '01'"),
        (changed(0, 2, "3.0_0.0"), "2: candidate_label_list: 2 elements, expected 3"),
        (changed(1, 2, "0.0_4.0"), "3: candidate_label_list: not one of 0.0, 1.0, 2.0, 3.0: '4.0'"),
        (changed(1, 2, "0.0_nan"), "3: candidate_label_list: not one of 0.0, 1.0, 2.0, 3.0: 'nan'"),
        (changed(2, 3, "8_8"), "4: history_qry_list: 2 elements, expected 1"),
        (changed(2, 4, "-3"), "4: history_wid_list: not a product id: '-3'"),
        (changed(2, 5, "BUY"), "4: history_type_list: not one of CLICK, CART, FLW, ORD: 'BUY'"),
        (changed(2, 5, ""), "4: history_type_list: 0 elements, expected 1"),
        (changed(2, 6, "0"), "4: history_time_list: 1 elements, expected 2"),
        (changed(2, 6, "0_-5"), "4: history_time_list: not a whole number of at least 0: '-5'"),
        ([*SEARCHES, ["7", "3"]], "5: 2 columns, expected query, "),
        ([], ": no rows"),
    ],
)
def test_a_malformed_line_is_named_and_nothing_stays(tmp_path, capsys, searches, message):
    folder, output = write(tmp_path / "in", searches), tmp_path / "out"
    assert run(import_logs.main, "jdsearch", "--input", folder, "--output", output) == 65
    assert f"{folder / 'user_behavior_data.txt'}:{message.removeprefix(':')}" in capsys.readouterr().err
    assert list(output.iterdir()) == []


def test_a_malformed_product_is_named(tmp_path, capsys):
    write(tmp_path / "in", products=[*PRODUCTS, ["", *PRODUCTS[0][1:]]])
    assert run(jdsearch.main, "--input", tmp_path / "in", "--output", tmp_path / "out") == 65
    assert "product_meta_data.txt:5: wid: not a product id: ''" in capsys.readouterr().err


def test_missing_and_empty_files_are_named(tmp_path, capsys):
    def refused() -> str:
        assert run(jdsearch.main, "--input", tmp_path / "in", "--output", tmp_path / "out") == 65
        return capsys.readouterr().err

    assert f"{tmp_path / 'in'}: no such folder" in refused()
    write(tmp_path / "in")
    (tmp_path / "in/product_meta_data.txt").write_text("")
    assert "product_meta_data.txt: the file is empty" in refused()
    (tmp_path / "in/product_meta_data.txt").unlink()
    assert "product_meta_data.txt: no such file, nor product_meta_data_sample.txt" in refused()


@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        (["--help"], 0, "movies"),
        (["jdsearch", "--help"], 0, "--input"),
        ([], 2, "jdsearch"),
        (["jdsaerch"], 2, "unknown dataset 'jdsaerch'; did you mean jdsearch?"),
        (["x"], 2, "unknown dataset 'x'; known: movies, jdsearch"),
        (["jdsearch", "--output", "/nowhere/out"], 2, "kdcn import jdsearch: error: --input: is required"),
    ],
)
def test_the_command_line(capsys, arguments, code, shown):
    assert run(import_logs.main, *arguments) == code
    out, err = capsys.readouterr()
    assert shown in (err if code else out)


@pytest.mark.data
def test_the_public_sample_goes_through_the_pipelines(public_data, tmp_path):
    """Counted in the files: 409 products; 230 behaviours, 15 of products without metadata; none is FLW."""
    found = imported(public_data / "jdsearch-sample", tmp_path / "raw")
    left_out = found.info["import"]
    assert (found.counts["users"], found.counts["items"]) == (3, 409)
    assert (found.counts["impressions"], left_out["impressions.unknown_item"]) == (262, 0)
    assert (found.counts["behaviors"], left_out["behaviors.unknown_item"]) == (215, 15)
    assert set(Counter(row["behavior"] for row in stream(tmp_path / "raw", "behaviors"))) == {
        "purchase", "click", "cart",
    }  # fmt: skip
    assert sum(row["label"] for row in stream(tmp_path / "raw", "impressions")) == 5

    arguments = ["--raw", tmp_path / "raw", "--runner=FnApiRunner"]
    assert run(build_ckg.main, *arguments, "--output", tmp_path / "ckg") == 0
    assert run(build_ctr.main, *arguments, "--ckg", tmp_path / "ckg", "--output", tmp_path / "ctr") == 0
    ctr = manifest.read(str(tmp_path / "ctr"), manifest.CTR)
    # A search each: 90 candidates of user 1, 89 of user 2, 83 of user 3.
    sizes = {split: sum(file.count for file in ctr.group(split)) for split in ("train", "valid", "test")}
    assert sizes == {"train": 90, "valid": 89, "test": 83}
    assert not ctr.files.get("dead_letters")
