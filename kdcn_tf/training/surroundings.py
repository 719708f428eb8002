"""What surrounds an entity, beside its own vector: the neighbours of each type, kept apart. For export.

TransE puts an entity between everything it is linked to, so a user with three tags and thirty sessions lies among the
sessions, and the GCN's sum, whose weights fall with the neighbours' degrees, drowns the tags once more. What the tags
say is still in the graph: their vectors' mean. Here each type of neighbours has its mean.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from kdcn_tf.ckg import IdMap
from kdcn_tf.data.adjacency import Graph, padding_mask
from kdcn_tf.keys import stable_hash
from kdcn_tf.layers.gcn import aggregate_groups, group_by_type, types_of

Encode = Callable[[tf.Tensor], tf.Tensor]
"""Distinct ids [n] -> vectors [n, d]."""


def turns(id_map: IdMap, dim: int) -> np.ndarray:
    """An orthogonal matrix per entity type, float32 [T, d, d], which depends on the type's name alone.

    Means of several types are added in one vector. Turned at random they hardly overlap, as in holographic reduced
    representations (Plate, 1995), and a linear layer finds each of them again; as they are, they would blur.
    """
    matrices = []
    for name in id_map.ranges:
        normal = np.random.default_rng(stable_hash(name) % 2**63).normal(size=(dim, dim))
        matrices.append(np.linalg.qr(normal)[0])
    return np.array(matrices, np.float32).reshape(-1, dim, dim)


def with_surroundings(
    ids: tf.Tensor, encode: Encode, graph: Graph, type_starts: Sequence[tuple[int, int]], matrices: tf.Tensor
) -> tf.Tensor:
    r"""An entity's vector, and the turned means of its neighbours by type.

    $$ [x_i, \; \sum_t \frac{1}{|N_t(i)|} \sum_{j \in N_t(i)} x_j R_t] $$

    Args:
        ids: int64 [n], distinct.
        encode: gives the vectors x.
        graph: all stored neighbours.
        type_starts: as `IdMap.type_starts` gives them.
        matrices: R, float [T, d, d].

    Returns:
        float [n, 2 d]; the second half is zeros for an isolated entity.
    """
    neighbors = graph.neighbors(ids)
    distinct, index = tf.unique(tf.concat([ids, tf.reshape(neighbors, [-1])], axis=0))
    vectors = encode(distinct)
    size = tf.size(ids)
    num_types = int(matrices.shape[0])
    groups = group_by_type(types_of(neighbors, type_starts), padding_mask(neighbors), num_types)
    means = aggregate_groups(vectors, tf.reshape(index[size:], tf.shape(neighbors)), groups)
    parts = tf.split(means, groups.sizes, num=num_types + 1)[:-1]
    turned = tf.concat([tf.matmul(part, turn) for part, turn in zip(parts, tf.unstack(matrices), strict=True)], axis=0)
    around = tf.math.unsorted_segment_sum(turned, groups.node, size)
    return tf.concat([tf.gather(vectors, index[:size]), around], axis=1)
