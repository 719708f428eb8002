"""The click models by their name in `kdcn.network`."""

import tensorflow as tf

from kdcn_tf import ckg
from kdcn_tf.config import Config
from kdcn_tf.data.ctr import spec_of
from kdcn_tf.errors import DataError
from kdcn_tf.manifest import Manifest
from kdcn_tf.models.click_model import ClickModel
from kdcn_tf.models.kdcn import KDCN
from kdcn_tf.models.pooled import DCN, DNN, WideDeep

NETWORKS: dict[str, type[ClickModel]] = {"kdcn": KDCN, "dcn": DCN, "wide_deep": WideDeep, "dnn": DNN}


def build_model(config: Config, described: Manifest) -> ClickModel:
    """The configured network for the features and ids of a CTR dataset.

    Sets TensorFlow's random seed to `finetune.seed`, so that equal configurations start equal.

    Args:
        config: resolved configuration.
        described: manifest of a CTR dataset, or of a model trained on one.

    Raises:
        DataError: the manifest doesn't describe a dataset that a click model can be made for.
    """
    id_map = described.require_id_map()
    if ckg.ITEM not in id_map.ranges:
        raise DataError(f"{described.kind} manifest: the id map has no entities of type {ckg.ITEM!r}")
    network = NETWORKS[config.kdcn.network]
    tf.keras.utils.set_random_seed(config.finetune.seed)
    wanted = network.entity_types(config.kdcn)
    return network(
        spec=spec_of(described),
        options=config.kdcn,
        entity_ranges={name: id_map.spans(name) for name in wanted if name in id_map.ranges},
        category_ranges=id_map.spans(ckg.CATEGORY) if ckg.CATEGORY in id_map.ranges else (),
        dim=config.kdcn.dim,
        seed=config.finetune.seed,
    )
