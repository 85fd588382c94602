"""From a request to an answer: fetch, decode, frame, recognise. Never imports torch."""
