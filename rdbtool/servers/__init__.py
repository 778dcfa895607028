"""What is known about servers, as data: their releases and their commands."""
