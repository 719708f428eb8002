"""Explains one impression: which keywords attended to which, and what each group of features changed.

  kdcn explain --model=DIR --ctr=CTR --ckg=CKG --row=17                  a row of the test split
  kdcn explain --model=DIR --ctr=CTR --ckg=CKG --session=c7 --output=DIR   what the model likes best in a session

A group's change is the logit without it (padding, an unknown entity, missing numbers) minus the logit with it. With
--output, explanation.json and explanation.html are written; the page needs the extra "reports". Users are shown by
their pseudonym.
"""

import contextlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags

from kdcn_tf import command, extras, files, keys, manifest
from kdcn_tf.errors import ConfigError
from kdcn_tf.manifest import Manifest

NAME = "explain"
JSON_FILE, HTML_FILE = "explanation.json", "explanation.html"


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("model", None, "trained model, from train-kdcn", flag_values=values)
    flags.DEFINE_string("ctr", None, "CTR dataset with the impression", flag_values=values)
    flags.DEFINE_string("ckg", None, "knowledge graph dataset, for names", flag_values=values)
    flags.DEFINE_enum("split", "test", ["train", "valid", "test"], "split of the impression", flag_values=values)
    flags.DEFINE_integer("row", None, "its row in the split, from 0", flag_values=values)
    flags.DEFINE_string("session", None, "id in the logs of its session; the best-scored is explained",
                        flag_values=values)  # fmt: skip
    flags.DEFINE_integer("sample", 1000, "rows whose mean changes stand beside", 1, flag_values=values)
    command.output_flags(values, "the explanation")
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "model", "ctr", "ckg")
    command.output_apart(values, "model", "ctr", "ckg")
    if (values.row is None) == (values.session is None):
        raise ConfigError("--row: is required, or --session; not both")
    if values.output:
        extras.check(*extras.PLAIN_PAGES)
    trained = manifest.read(values.model, manifest.KDCN_MODEL)
    ctr, graph = manifest.read(values.ctr, manifest.CTR), manifest.read(values.ckg, manifest.CKG)
    for other in (ctr, graph):
        manifest.require_same_ids(trained, other)
    inputs = {part.kind: part.fingerprint() for part in (trained, ctr, graph)}
    from kdcn_tf.export import explanation, explanation_page

    with contextlib.ExitStack() as stack:
        if values.output:
            manifest.prepare_output(values.output, manifest.EXPLANATION, values.overwrite)
            stack.enter_context(manifest.discarded_on_failure(values.output))
        body = {**_explained(values, ctr, graph), "inputs": inputs}
        if values.output:
            _write(values.output, body, explanation_page.render(body), inputs)
    print(explanation.text(body))


def _explained(values: flags.FlagValues, ctr: Manifest, graph: Manifest) -> dict[str, Any]:
    from kdcn_tf.data import filesystems
    from kdcn_tf.data.failures import translated
    from kdcn_tf.export import explanation
    from kdcn_tf.training import evaluation, explaining, metrics
    from kdcn_tf.training.finetune import load_model

    filesystems.require(values.model, values.ctr, values.ckg)
    data = evaluation.Heldout(values.ctr, ctr, values.split)
    found = [] if values.session is not None else [(values.row, explaining.read_row(data, values.row))]
    with translated(values.model):
        model, trained = load_model(values.model)
        score = evaluation.kdcn_scorer(model, trained, data)
        if values.session is not None:
            found = list(explaining.rows_of_session(data, _session_number(values.session)))
            if not found:
                raise ConfigError(f"--session: split {values.split!r} has no impression of this session")
        logits = [float(score(example)[0]) for _, example in found]
        best = max(range(len(found)), key=lambda place: logits[place])
        row, example = found[best]
        explained, usual = explaining.explain(model, example), explaining.typical(model, data, values.sample)
        described = explanation.describe(example, model.spec, values.ckg, graph, explained, usual)
    rows = [{"row": one, "probability": float(metrics.probabilities(np.array(logit)))}
            for (one, _), logit in zip(found, logits, strict=True)]  # fmt: skip
    return {"split": values.split, "row": row, "session": rows, **described}


def _session_number(raw: str) -> int:
    try:
        return keys.session_number(raw)
    except ValueError as error:
        raise ConfigError(f"--session: {error}") from None


def _write(output: str, body: dict[str, Any], page: bytes, inputs: dict[str, str]) -> None:
    text = json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    for name, content in ((JSON_FILE, text.encode("utf-8", "replace")), (HTML_FILE, page)):
        files.write_atomic(files.join(output, name), content)
    described = tuple(manifest.describe_file(output, name) for name in (JSON_FILE, HTML_FILE))
    info = {"split": body["split"], "row": body["row"]}
    manifest.write(
        output, Manifest(kind=manifest.EXPLANATION, files={"explanation": described}, inputs=inputs, info=info)
    )


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
