"""What is read: what it is, the keys in it, and which of them are wanted."""
