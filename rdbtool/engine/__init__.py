"""The mini-engine: commands applied to a dataset in memory."""
