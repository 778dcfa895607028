"""What a server verifies when it loads with sanitization, without building values."""
