"""Keep large blocks of memory instead of returning them to the system after every tensor."""

import ctypes
import platform

# Numbers of glibc's <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGE = 1 << 30


def keep_large_blocks() -> None:
    """Let glibc's malloc reuse blocks of up to 1 GiB.

    By default each temporary of some 80 MB is mapped again and its pages are faulted in one by one, which costs a
    wide network much of each training step on a CPU. Does nothing where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
