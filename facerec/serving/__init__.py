"""From a request to an answer: fetch, decode, frame, recognize. Never imports torch."""
