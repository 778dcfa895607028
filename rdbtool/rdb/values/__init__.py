"""One module per Redis type: payload to value and back."""
