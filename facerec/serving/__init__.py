"""From a request to an answer: fetch, decode, crop, recognize. Never imports torch."""
