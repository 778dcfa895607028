"""The layout of every encoding in bytes: per encoding one module that walks it, to skip, verify, visit or decode it."""
