import gzip

import pytest

from kdcn_tf.errors import DataError
from pipelines.datasets import tables


def test_csv_rows_by_column_with_quotes_and_unused_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffid,more,title\r\n1,x,"Mummy, The ""1"""\r\n2,y,\n'.encode())
    rows = list(tables.csv_rows(str(path), ("id", "title")))
    assert [(row.id("id"), row.text("title")) for row in rows] == [("1", 'Mummy, The "1"'), ("2", "")]


def test_tsv_rows_may_be_compressed(tmp_path):
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(b"1\tx y\r\n2\t\n"))
    rows = list(tables.tsv_rows(str(path), ("id", "name")))
    assert [(row.number("id", int), row.text("name")) for row in rows] == [(1, "x y"), (2, "")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,name\n1,a\n", ":1: no column 'title'; there are: id, name"),
        ("id,title\n1,a\n2\n", ":3: 1 values, the header has 2"),
        ('id,title\n1,"two\nlines"\n2,b,c\n', ":4: 3 values, the header has 2"),
        ("", ": the file is empty"),
        ("id,title\n1,\udcff\n", ": not UTF-8, after line "),
    ],
)
def test_a_malformed_csv_file_names_file_and_line(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DataError) as raised:
        list(tables.csv_rows(str(path), ("id", "title")))
    assert str(raised.value).startswith(f"{path}{message}")


def test_a_tsv_row_of_other_length_is_named(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("a\tb\tc\n1\t2\n")
    with pytest.raises(DataError, match=r"a\.tsv:2: 2 columns, expected head, relation, tail"):
        list(tables.tsv_rows(str(path), ("head", "relation", "tail")))


def test_values_name_file_line_and_column(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,n\n,4.5\n")
    (row,) = tables.csv_rows(str(path), ("id", "n"))
    assert row.number("n", float) == 4.5
    with pytest.raises(DataError, match=r"a\.csv:2: n: not a number: '4\.5'"):
        row.number("n", int)
    with pytest.raises(DataError, match=r"a\.csv:2: id: is empty"):
        row.id("id")
