"""What drives the engine: bases and logs brought into a dataset, and who looks on meanwhile."""
