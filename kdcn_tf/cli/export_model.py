"""Writes a trained K-DCN as the next version of a SavedModel for TF Serving.

OUTPUT/<version>/ has the signatures serving_default (serialized tf.Examples), predict (named tensors)
and rank (many candidates in one context), all of entity keys as strings. A user's key is its pseudonym,
kdcn_tf.keys.entity_key("user", id), which the client computes. The version gets its number only after
it has scored held-out requests of the CTR dataset as the trained model does. In assets.extra/ it has a model card
(model_card.md and .json) about data, quality and limits.
"""

import logging
from collections.abc import Sequence

from absl import flags

from kdcn_tf import command, manifest

NAME = "export-model"
log = logging.getLogger(__name__)


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("model", None, "trained model, from train-kdcn", flag_values=values)
    flags.DEFINE_string("ctr", None, "CTR dataset, for held-out requests", flag_values=values)
    flags.DEFINE_string("ckg", None, "knowledge graph dataset, for the entity keys", flag_values=values)
    flags.DEFINE_string("output", None, "serving directory; may hold earlier versions", flag_values=values)
    flags.DEFINE_string("evaluation", None, "from evaluate: its figures go into the model card", flag_values=values)
    flags.DEFINE_integer("version", None, "version number; the next by default", 1, flag_values=values)
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "model", "ctr", "ckg", "output")
    command.output_apart(values, "model", "ctr", "ckg", "evaluation")
    ctr = manifest.read(values.ctr, manifest.CTR)
    graph = manifest.read(values.ckg, manifest.CKG)
    from kdcn_tf.data import filesystems
    from kdcn_tf.data.failures import translated
    from kdcn_tf.export.serving import export
    from kdcn_tf.training.finetune import load_model

    filesystems.require(values.model, values.ctr, values.ckg, values.output)
    model, trained = load_model(values.model)
    with translated(values.output):
        path = export(
            model=model, trained=trained, ctr_directory=values.ctr, ctr=ctr, ckg_directory=values.ckg, graph=graph,
            directory=values.output, version=values.version, evaluation=values.evaluation,
        )  # fmt: skip
    print(path)


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
