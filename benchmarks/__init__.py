"""What the project costs, against the limit of the machine and against what one would use instead: see README.md."""
