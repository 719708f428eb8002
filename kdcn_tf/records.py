"""Contract of every record: feature keys and layouts, here and nowhere else. Imports no TensorFlow.

Shapes use B batch, L behaviours per kind, M query keywords, N title keywords, C category levels,
D dense statistics, K stored neighbours.

Datasets are directories with a manifest (`kdcn_tf.manifest`); their file groups:

=============  ======================  ==============================================================
kind           group                   files
=============  ======================  ==============================================================
raw            <stream>                JSON Lines, plain or gzip; streams of `STREAMS`
raw            extra/<name>            TSV head, relation, tail; types in info["extra_triples"][<name>]
ckg            train, valid, test      triple blocks (TFRecord: HEAD, RELATION, TAIL, WEIGHT)
ckg            adjacency               adjacency blocks (TFRecord of Example: FIRST_ID, DEGREE, NEIGHBORS)
ckg            entities/<type>         UTF-8 text, a key a line; id = file.first + line number from 0, all of a
                                       file in one range of the type (`ckg.IdMap`)
ctr            train, valid, test      CTR examples (TFRecord of Example, keys below)
ckg, ctr       dead_letters            JSON Lines {file, line, field, reason, stage}, and record if the config says so
embeddings     <type>                  npy float32 [rows, d]; row i belongs to id file.first + i
=============  ======================  ==============================================================
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

STREAMS = ("users", "items", "sessions", "behaviors", "impressions")

# Triple block: int64 lists of equal length, these and WEIGHT: how many records state the triple.
HEAD, RELATION, TAIL = "head", "relation", "tail"

# Adjacency block for the ids FIRST_ID, FIRST_ID + 1, ...: int64 lists.
FIRST_ID = "first_id"  # one value
DEGREE = "degree"  # [rows], number of distinct neighbours in the training graph
NEIGHBORS = "neighbors"  # [rows * K], each row's sampled neighbours first, then PAD_ID

# CTR example. Ids are entity ids of the CKG; an entity that the CKG doesn't know is OOV_ID.
OOV_ID = -1
LABEL = "label"  # float [1], 0 or 1
WEIGHT = "weight"  # float [1], default 1
TIMESTAMP = "timestamp"  # int64 [1], seconds
SESSION = "session"  # int64 [1], stable hash of the session id, to group by; never a model input
SOURCE = "source"  # bytes [1], which log it came from, to slice metrics by; never a model input
POSITION = "position"  # int64 [1], where it was shown, to slice metrics by; never a model input: no request knows it
UNKNOWN_POSITION = -1  # where the log doesn't say, and in datasets from before examples held it
USER = "user"  # int64 [1]
ITEM = "item"  # int64 [1]
QUERY_KEYWORDS = "query_keywords"  # int64 [<= M]
TITLE_KEYWORDS = "title_keywords"  # int64 [<= N]
CATEGORIES = "categories"  # int64 [<= C], from the top level down
DENSE = "dense"  # float [D], raw; the model transforms (moments in the manifest's info["dense"])

# Requests to the served model: the features above, with entity keys (`kdcn_tf.keys`) as bytes in place of
# ids, and these two in place of USER and ITEM. "" pads lists.
USER_ID = "user_id"  # bytes [1], keys.entity_key("user", <id in the logs>): the pseudonym
ITEM_ID = "item_id"  # bytes [1]


def behavior_key(kind: str) -> str:
    """Feature of the items of one behaviour kind, latest first: int64 [<= L]."""
    return f"behavior_{kind}"


def _example_class() -> Any:
    """tf.train.Example without TensorFlow, in a pool of its own so that both can live in a process."""
    file = descriptor_pb2.FileDescriptorProto(name="kdcn/example.proto", package="kdcn", syntax="proto3")

    def message(parent, name: str):
        item = parent.add()
        item.name = name
        return item

    def add_field(owner, name: str, number: int, kind: int, label: int = 1, type_name: str = "", packed: bool = False):
        item = owner.field.add(name=name, number=number, type=kind, label=label)
        if type_name:
            item.type_name = type_name
        if packed:
            item.options.packed = True
        return item

    repeated, as_message = 3, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
    lists = {
        "BytesList": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
        "FloatList": descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT,
        "Int64List": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    }
    for name, kind in lists.items():
        add_field(message(file.message_type, name), "value", 1, kind, repeated, packed=name != "BytesList")
    feature = message(file.message_type, "Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(lists, start=1):
        field_name = {"BytesList": "bytes_list", "FloatList": "float_list", "Int64List": "int64_list"}[name]
        add_field(feature, field_name, number, as_message, type_name=f".kdcn.{name}").oneof_index = 0
    features = message(file.message_type, "Features")
    entry = message(features.nested_type, "FeatureEntry")
    entry.options.map_entry = True
    add_field(entry, "key", 1, descriptor_pb2.FieldDescriptorProto.TYPE_STRING)
    add_field(entry, "value", 2, as_message, type_name=".kdcn.Feature")
    add_field(features, "feature", 1, as_message, repeated, ".kdcn.Features.FeatureEntry")
    example = message(file.message_type, "Example")
    add_field(example, "features", 1, as_message, type_name=".kdcn.Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("kdcn.Example"))


Example = _example_class()
"""Wire-compatible with tf.train.Example."""


def encode(
    ints: dict[str, list[int]] | None = None,
    floats: dict[str, list[float]] | None = None,
    texts: dict[str, list[bytes]] | None = None,
) -> bytes:
    """A serialized Example with these features; equal features give equal bytes."""
    example = Example()
    feature = example.features.feature
    for key, values in (ints or {}).items():
        feature[key].int64_list.value.extend(values)
    for key, numbers in (floats or {}).items():
        feature[key].float_list.value.extend(numbers)
    for key, strings in (texts or {}).items():
        feature[key].bytes_list.value.extend(strings)
    return example.SerializeToString(deterministic=True)


def decode(serialized: bytes) -> dict[str, list]:
    """Features of a serialized Example as lists."""
    example = Example.FromString(serialized)
    decoded = {}
    for key, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        decoded[key] = list(getattr(feature, kind).value) if kind else []
    return decoded
