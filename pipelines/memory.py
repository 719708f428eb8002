"""Memory that the steps of a worker have freed."""

import ctypes

import pyarrow as pa

# Arrow's own allocator keeps what it frees apart from malloc, so that the peaks of both would add up.
pa.set_memory_pool(pa.system_memory_pool())


def give_back() -> None:
    """Gives the system what was freed: malloc keeps it, in pieces between what is in use, where the next step's
    tables don't fit. Without glibc nothing happens.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
