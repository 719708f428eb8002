"""Ranks candidate items for a user and a query with a served model, and shows their titles.

  kdcn rank --model=SERVING --raw=RAW --user=u1 --query="red shoes" --candidates=i1,i2,i3
  kdcn rank --model=SERVING --raw=RAW --session=c7     the user, query and candidates of a logged session
  kdcn rank --model=SERVING --raw=RAW                  the last logged session with a click

Titles, statistics and the user's behaviours come from the raw logs (JSON Lines).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from kdcn_tf import command, manifest
from kdcn_tf.errors import ConfigError, DataError

NAME = "rank"
_RECENT = 4  # behaviours shown per kind


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("model", None, "served model, from export-model: all versions, or one", flag_values=values)
    flags.DEFINE_string("raw", None, "raw logs with the items and behaviours", flag_values=values)
    flags.DEFINE_string("user", "", "user id; without one, an unknown user", flag_values=values)
    flags.DEFINE_string("query", "", "what the user asks for", flag_values=values)
    flags.DEFINE_list("candidates", [], "item ids", flag_values=values)
    flags.DEFINE_string("session", None, "take user, query and candidates from this logged session", flag_values=values)
    flags.DEFINE_float("time", None, "use behaviours before this second since 1970; all by default", flag_values=values)
    flags.DEFINE_integer("top", 10, "candidates to show", 1, flag_values=values)
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "model", "raw")
    given = [name for name in ("candidates", "user", "query") if values[name].value]
    if given and values.session is not None:
        raise ConfigError(f"--session: not together with --{given[0]}")
    if (values.user or values.query) and not values.candidates:
        raise ConfigError("--candidates: is required with --user or --query")
    if values.time is not None and not math.isfinite(values.time):
        raise ConfigError(f"--time: must be a number of seconds, got {values.time}")
    raw = manifest.read(values.raw, manifest.RAW)
    from kdcn_tf.export import raw_logs

    if values.candidates:
        impressions = tuple({"item_id": item} for item in dict.fromkeys(values.candidates))
        asked = raw_logs.Shown("", values.user, math.inf, values.query, impressions)
    else:
        asked = raw_logs.find_session(values.raw, raw, values.session)
    _rank(values, raw, asked)


def _rank(values: flags.FlagValues, raw: manifest.Manifest, asked: Any) -> None:
    import tensorflow as tf

    from kdcn_tf.data.failures import translated
    from kdcn_tf.export import raw_logs
    from kdcn_tf.export.request import RankRequest
    from kdcn_tf.export.serving import latest
    from kdcn_tf.export.signatures import PROBABILITIES, RANK

    path = latest(values.model)
    # Digests too: TensorFlow fails in any way on a graph that is corrupt.
    request = RankRequest(manifest.read(path, manifest.SERVING, check_digests=True))
    before = asked.timestamp if values.time is None else values.time
    spec = request.spec
    history = raw_logs.find_history(
        values.raw, raw, asked.user_id, before, spec.behaviors, spec.max_behaviors, request.history_days
    )
    candidates = [str(impression["item_id"]) for impression in asked.impressions]
    known = raw_logs.find_items(values.raw, raw, {*candidates, *(i for items in history.values() for i in items)})
    if unknown := [item for item in candidates if item not in known]:
        raise DataError(f"--candidates: {unknown[0]!r} isn't in the items of {values.raw}")
    inputs = request.inputs(
        user=asked.user_id,
        query=asked.query,
        history=history,
        items=[known[item] for item in candidates],
        stats=[impression.get("stats") or {} for impression in asked.impressions],
    )
    with translated(path):
        scored = tf.saved_model.load(path).signatures[RANK](**{k: tf.constant(v) for k, v in inputs.items()})
    print(_context(asked.query, history, known))
    print(_ranking(asked.impressions, scored[PROBABILITIES].numpy(), known, values.top))


def _context(query: str | Sequence[str], history: Mapping[str, Sequence[str]], known: Mapping[str, Any]) -> str:
    lines = [f"query: {query if isinstance(query, str) else ', '.join(query)}"]
    for kind, items in history.items():
        titles = [str(known[item]["title"]) for item in items[:_RECENT]]
        more = f" and {len(items) - len(titles)} more" if len(items) > len(titles) else ""
        lines.append(f"{kind} before: {'; '.join(titles) or 'nothing'}{more}")
    return "\n".join(lines)


def _ranking(impressions: Sequence[Mapping[str, Any]], scores: Any, known: Mapping[str, Any], top: int) -> str:
    order = sorted(range(len(impressions)), key=lambda i: -scores[i])
    lines = [f"{'rank':>4}  {'p(click)':>8}  item"]
    for rank, index in enumerate(order[:top], start=1):
        item = known[str(impressions[index]["item_id"])]
        category = item["category"] if isinstance(item["category"], str) else " / ".join(item["category"])
        clicked = "  <- clicked in the log" if impressions[index].get("label") == 1 else ""
        lines.append(f"{rank:>4}  {scores[index]:>8.4f}  {item['title']}  [{item['item_id']}; {category}]{clicked}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
