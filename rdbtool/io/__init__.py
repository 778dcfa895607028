"""Bytes in and out, whatever format is in them."""
