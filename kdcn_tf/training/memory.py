"""How this process keeps memory that TensorFlow frees."""

import ctypes

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # of malloc.h
_LARGEST = 32 << 20  # glibc takes no larger threshold for mmap
_NEVER = (1 << 31) - 1
_TOP_PAD = 64 << 20


def keep_freed() -> None:
    """Lets the C library's malloc use freed memory again instead of giving it back to the system.

    A step frees and allocates some megabytes for each of its operations, and every new page costs a fault:
    about a third of a step's time. Peak memory stays what it is. Without glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    for name, value in ((_M_MMAP_THRESHOLD, _LARGEST), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _TOP_PAD)):
        mallopt(name, value)
