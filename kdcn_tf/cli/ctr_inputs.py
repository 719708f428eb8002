"""What every command that trains click models reads: a CTR dataset, embeddings to start from, a configuration."""

from dataclasses import dataclass
from typing import Any

from absl import flags

from kdcn_tf import command, manifest
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError
from kdcn_tf.manifest import Manifest


def define(values: flags.FlagValues) -> None:
    """The flags of these inputs, beside those of the configuration."""
    flags.DEFINE_string("ctr", None, "CTR dataset, from build-ctr", flag_values=values)
    flags.DEFINE_string("embeddings", None, "export to start from, from export-embeddings", flag_values=values)


@dataclass(frozen=True)
class CtrInputs:
    """Attributes:
    ctr: manifest of the CTR dataset.
    embeddings: manifest of the export, if there is one.
    suggested: `section.field` -> value that the two bring along.
    config: resolved configuration.
    """

    ctr: Manifest
    embeddings: Manifest | None
    suggested: dict[str, Any]
    config: Config

    def fingerprints(self, pretrained: bool) -> dict[str, str]:
        """Kind -> fingerprint of what is read by models, of which some are `pretrained` or none is.

        Raises:
            ConfigError: there are no embeddings for them.
            DataError: the embeddings have other ids than the dataset.
        """
        marks = {manifest.CTR: self.ctr.fingerprint()}
        if pretrained:
            if self.embeddings is None:
                raise ConfigError("--embeddings: is required, unless --set kdcn.pretrained=false")
            manifest.require_same_ids(self.embeddings, self.ctr)
            marks[manifest.EMBEDDINGS] = self.embeddings.fingerprint()
        return marks


def read(values: flags.FlagValues) -> CtrInputs:
    """Reads both manifests and resolves the configuration.

    Raises:
        ConfigError: --ctr isn't given, or the configuration is wrong or doesn't fit the dataset.
        DataError: one of the two isn't a finished dataset.
    """
    command.required(values, "ctr")
    ctr = manifest.read(values.ctr, manifest.CTR)
    suggested: dict[str, Any] = {"logs.behaviors": ctr.info.get("behaviors") or []}
    embeddings = None
    if values.embeddings:
        embeddings = manifest.read(values.embeddings, manifest.EMBEDDINGS)
        suggested["kdcn.dim"] = embeddings.number("dim")
    config = command.resolve_config(values, suggested)
    if embeddings and config.kdcn.pretrained and config.kdcn.dim != embeddings.number("dim"):
        raise ConfigError(
            f"kdcn.dim: is {config.kdcn.dim}, {values.embeddings} has vectors of {embeddings.number('dim')}"
        )
    if list(config.logs.behaviors) != suggested["logs.behaviors"]:
        raise ConfigError(f"logs.behaviors: {values.ctr} was built with {suggested['logs.behaviors']}")
    return CtrInputs(ctr, embeddings, suggested, config)
