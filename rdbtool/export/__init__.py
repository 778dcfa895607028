"""Entries as text."""
