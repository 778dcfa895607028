"""Compare two snapshots: what was added, removed and changed between them."""
