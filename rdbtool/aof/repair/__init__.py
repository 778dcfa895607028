"""Repair a log: what to drop, and how that is written."""
