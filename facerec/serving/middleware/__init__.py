"""ASGI middleware: the limit of request bodies, and the log of requests."""
