"""The write commands, one module per group."""
