"""Accumulators: what is counted over keys and commands."""
