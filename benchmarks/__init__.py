"""Speed and memory of the service and of the training, beside an upper bound and a baseline: see README.md."""
