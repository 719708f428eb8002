"""Records on the wire, against tf.train.Example."""

import numpy as np

from kdcn_tf import records

INTS = {"id": [1], "ids": [0, -1, 2**63 - 1, -(2**63)], "none": []}
FLOATS = {"label": [1.0], "dense": [0.1, float("inf")]}
TEXTS = {"source": [b"app"], "words": ["连衣裙".encode(), b"", b"\xff"]}


def tf_example(ints, floats, texts):
    import tensorflow as tf

    features = {k: tf.train.Feature(int64_list=tf.train.Int64List(value=v)) for k, v in ints.items()}
    features |= {k: tf.train.Feature(float_list=tf.train.FloatList(value=v)) for k, v in floats.items()}
    features |= {k: tf.train.Feature(bytes_list=tf.train.BytesList(value=v)) for k, v in texts.items()}
    return tf.train.Example(features=tf.train.Features(feature=features))


def test_bytes_by_hand():
    """Example{1: Features{1: entry{1: "id", 2: Feature{3: Int64List{1: packed [1]}}}}}: tag and length each."""
    assert records.encode({"id": [1]}).hex(" ") == "0a 0d 0a 0b 0a 02 69 64 12 05 1a 03 0a 01 01"


def test_bytes_are_those_of_tf_train_example():
    expected = tf_example(INTS, FLOATS, TEXTS).SerializeToString(deterministic=True)
    assert records.encode(INTS, FLOATS, TEXTS) == expected
    assert records.encode(*(dict(reversed(part.items())) for part in (INTS, FLOATS, TEXTS))) == expected


def test_decoding_gives_back_what_tensorflow_wrote():
    """0.1 comes back as the nearest float32."""
    decoded = records.decode(tf_example(INTS, FLOATS, TEXTS).SerializeToString())
    assert decoded == INTS | TEXTS | {"label": [1.0], "dense": [float(np.float32(0.1)), float("inf")]}
