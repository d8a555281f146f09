"""The peak is that of the block."""

import sys

import pytest

from mace_gov.core.memory import peak_memory

MEGABYTE = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="the mark can be set back on Linux alone")
def test_what_a_block_held_counts_in_it_and_not_after_it():
    with peak_memory() as small:
        pass
    with peak_memory() as large:
        held = bytearray(256 * MEGABYTE)
        held[::4096] = b"x" * len(held[::4096])
        del held
    with peak_memory() as after:
        pass
    assert large.bytes > small.bytes + 200 * MEGABYTE
    assert after.bytes < large.bytes - 100 * MEGABYTE
