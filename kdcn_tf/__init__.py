"""K-DCN on TensorFlow: knowledge graph pretraining and click prediction for shopping conversations.

Importing this package imports no TensorFlow. It selects Keras 2 (`tf_keras`), because Keras 3 does
not train under `tf.distribute.ParameterServerStrategy`; the choice has to stand before the first
TensorFlow import, and this is the one place that makes it.
"""

import os
import sys

__version__ = "0.1.0"


def _select_keras_2() -> None:
    if "keras" in sys.modules and os.environ.get("TF_USE_LEGACY_KERAS") != "1":
        raise ImportError(
            "Keras 3 is already imported, and it does not train under ParameterServerStrategy: "
            "import kdcn_tf before tensorflow, or set TF_USE_LEGACY_KERAS=1"
        )
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    # TensorFlow 2.16 reports CUDA plugins that register twice as errors, on machines without a GPU too.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


_select_keras_2()
