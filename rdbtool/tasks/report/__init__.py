"""What a page tells of one input."""
