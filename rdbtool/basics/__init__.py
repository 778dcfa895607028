"""What no format owns: hashing, checksums, compression, numbers and text."""
