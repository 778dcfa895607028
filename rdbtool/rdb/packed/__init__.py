"""The packed encodings: listpack, ziplist, intset and zipmap."""
