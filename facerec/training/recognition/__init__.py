"""The recognizer: a network that names the person of a crop."""
