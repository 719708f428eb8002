import numpy as np
import pytest

from kdcn_tf.export import components


def encoder(rows):
    """Gives rows of a table, two at a time."""
    return lambda first, last: (rows[start : min(start + 2, last)] for start in range(first, last, 2))


@pytest.fixture
def rows():
    # Ids 0 and 1 differ along the first axis (variance 9); 2 to 7 along the third (variance 4), far from the origin.
    near = [[3, 0, 0], [-3, 0, 0]]
    far = [[0, 50, 2], [0, 50, -2]] * 3
    return np.array(near + far, np.float32)


def test_every_type_counts_the_same_about_its_own_mean(rows):
    directions, share = components.fit(encoder(rows), [[(0, 2)], [(2, 4), (4, 8)]], 2)
    # They span the first and the third axis, whichever way they are turned.
    np.testing.assert_allclose(directions @ directions.T, np.diag([1, 0, 1]), atol=1e-6)
    assert share == pytest.approx(1)
    assert components.fit(encoder(rows), [[(0, 2)], [(2, 8)]], 1)[1] == pytest.approx(9 / 13)


def test_vectors_are_turned_and_not_moved(rows):
    directions, _ = components.fit(encoder(rows), [[(0, 2)], [(2, 8)]], 2)
    found = np.concatenate(list(components.projected(encoder(rows), directions)(1, 4)))
    np.testing.assert_allclose(found @ found.T, [[9, 0, 0], [0, 4, -4], [0, -4, 4]], atol=1e-4)
    assert found.dtype == np.float32


def test_numbers_vary_alike():
    rows = np.random.default_rng(1).normal(size=(5000, 32)).astype(np.float32) * np.geomspace(
        10, 0.1, 32, dtype=np.float32
    )
    directions, _ = components.fit(encoder(rows), [[(0, 5000)]], 16)
    variances = (rows @ directions).var(axis=0)
    assert variances.max() / variances.min() < 20  # of the components themselves it is 86
    again, _ = components.fit(encoder(rows), [[(0, 5000)]], 16)
    np.testing.assert_array_equal(directions, again)


def test_of_a_large_type_the_first_of_each_file_are_enough(rows, monkeypatch):
    monkeypatch.setattr(components, "SAMPLE", 3)
    asked = []

    def encode(first, last):
        asked.append((first, last))
        return encoder(rows)(first, last)

    components.fit(encode, [[(0, 2)], [(2, 4), (4, 8)]], 1)
    assert asked == [(0, 2), (2, 3), (4, 6)]


def test_equal_vectors_have_no_variance_to_share():
    directions, share = components.fit(encoder(np.ones((4, 3), np.float32)), [[(0, 4)]], 2)
    assert share == 1
    assert np.isfinite(directions).all()
