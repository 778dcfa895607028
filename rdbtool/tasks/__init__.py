"""Use cases. Each returns a report, prints nothing and reads no environment."""
