"""Train and measure the network that finds five points of a face."""
