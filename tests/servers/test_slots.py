from __future__ import annotations

from rdbtool.servers.slots import hash_slot


def test_slots_are_those_of_a_cluster() -> None:
    # the vectors of the cluster specification, and CLUSTER KEYSLOT of a server
    assert hash_slot(b"123456789") == 12739
    assert hash_slot(b"foo") == 12182
    assert hash_slot(b"{user1000}.following") == hash_slot(b"{user1000}.followers") == hash_slot(b"user1000")
    assert hash_slot(b"foo{}{bar}") == 8363
    assert hash_slot(b"foo{{bar}}zap") == hash_slot(b"{bar")
    assert hash_slot(b"foo{bar}{zap}") == hash_slot(b"bar")
