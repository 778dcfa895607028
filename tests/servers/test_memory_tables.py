"""The size classes of allocators."""

from __future__ import annotations

from rdbtool.servers.memory import JEMALLOC, LIBC, SYSTEM_JEMALLOC, Allocator


def test_classes_of_jemalloc_are_four_between_powers_of_two() -> None:
    sizes = {Allocator(JEMALLOC).size(n) for n in range(1, 3000)}
    small = set(range(8, 65, 8)) | {80, 96, 112, 128}
    large = {160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072}
    assert sizes == small | large
    system = {Allocator(SYSTEM_JEMALLOC).size(n) for n in range(1, 300)}
    assert system == {8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}


def test_no_allocator_gives_less_than_asked_for_or_much_more() -> None:
    for name in (JEMALLOC, SYSTEM_JEMALLOC, LIBC):
        allocator = Allocator(name)
        assert allocator.size(0) == 0
        before = 0
        for n in [*range(1, 5000), 100_000, 131_071, 131_072, 1 << 20, (1 << 30) + 1]:
            size = allocator.size(n)
            assert size >= max(n, before)
            assert size <= max(1.26 * n + 16, 24, n + 4096 if name == LIBC and n > 100_000 else 0)
            assert name == LIBC or allocator.size(size) == size
            before = size


def test_libc_gives_blocks_of_16_bytes_less_their_header() -> None:
    assert [Allocator(LIBC).size(n) for n in (1, 24, 25, 40, 41)] == [24, 24, 40, 40, 56]
