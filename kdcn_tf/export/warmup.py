"""Warm-up requests, which TF Serving plays before it sends traffic to a new version."""

import tensorflow as tf

from kdcn_tf import files
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.export.golden import Request, one_context
from kdcn_tf.export.signatures import PREDICT, RANK

FOLDER = "assets.extra"
"""Of a SavedModel: what TF Serving doesn't load with it."""

WARMUP_FILE = f"{FOLDER}/tf_serving_warmup_requests"


def write_warmup(directory: str, model_name: str, request: Request, spec: CtrSpec) -> bool:
    """Writes the file into a SavedModel's directory.

    Returns:
        False where package tensorflow-serving-api isn't installed.
    """
    try:
        from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2
    except ImportError:
        return False
    path = files.join(directory, WARMUP_FILE)
    tf.io.gfile.makedirs(path.rsplit("/", 1)[0])
    with tf.io.TFRecordWriter(path) as writer:
        for name, inputs in ((PREDICT, request), (RANK, one_context(request, spec))):
            sent = predict_pb2.PredictRequest(
                model_spec=model_pb2.ModelSpec(name=model_name, signature_name=name),
                inputs={key: tf.make_tensor_proto(value) for key, value in inputs.items()},
            )
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=sent))
            writer.write(log.SerializeToString())
    return True
