"""Lua scripts of old logs: an interpreter in a process of its own, and what stands between it and the dataset."""
