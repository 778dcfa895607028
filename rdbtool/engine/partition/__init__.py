"""Keys spread over partitions that are replayed one by one, or side by side: each takes a part of the memory.

Keys are spread over buckets by a hash of their name, or of its hash tag, as over the slots of a cluster; there are more
buckets than slots, so that fewer keys have to stay together. A first pass (`Survey`) joins the buckets of keys that one
command names, and weighs them; `Buckets` deals the groups out; a replay of one partition passes over the commands of
all others (`Sieve`).
"""
