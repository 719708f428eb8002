import numpy as np
import pytest

from kdcn_tf import manifest
from kdcn_tf.data.entities import read_rows
from kdcn_tf.export.embeddings import write_type


@pytest.fixture
def export(tmp_path):
    """Users [1, 7, 0], [3, 7, 0] in one file and [5, 7, 6] in another."""
    rows = np.float32([[1, 7, 0], [3, 7, 0], [5, 7, 6]])
    written = write_type(
        str(tmp_path), "user", [(1, 3), (3, 4)], lambda first, last: iter([rows[first - 1 : last - 1]])
    )
    made = manifest.Manifest(manifest.EMBEDDINGS, {"user": written}, info={"dim": 3})
    return str(tmp_path), made, rows


def test_rows_come_file_by_file(export):
    directory, made, rows = export
    (first, some), (second, rest) = read_rows(directory, made, "user")
    assert (first, second) == (1, 3)
    np.testing.assert_array_equal(np.concatenate([some, rest]), rows)


def test_columns_are_standardised_over_all_files_of_a_type(export):
    directory, made, _ = export
    (first, some), (second, rest) = read_rows(directory, made, "user", standardize=True)
    assert (first, second) == (1, 3)
    assert some.dtype == np.float32
    # 1, 3, 5: mean 3, variance 8/3. 7, 7, 7: constant. 0, 0, 6: mean 2, variance 8.
    expected = [[-(1.5**0.5), 0, -(0.5**0.5)], [0, 0, -(0.5**0.5)], [1.5**0.5, 0, 2**0.5]]
    np.testing.assert_allclose(np.concatenate([some, rest]), expected, rtol=1e-6, atol=1e-7)


def test_a_column_that_is_constant_but_for_rounding_is_constant(tmp_path):
    rows = np.float32([[0.1], [np.nextafter(np.float32(0.1), np.float32(1))], [0.1]])
    written = write_type(str(tmp_path), "user", [(1, 4)], lambda first, last: iter([rows]))
    made = manifest.Manifest(manifest.EMBEDDINGS, {"user": written}, info={"dim": 1})
    ((_, found),) = read_rows(str(tmp_path), made, "user", standardize=True)
    np.testing.assert_array_equal(found, np.zeros((3, 1)))
