"""Pictures: from a file, bytes or a URL to pixels. Knows no model and no web framework."""
