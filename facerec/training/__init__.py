"""From a folder of people to an evaluated, calibrated and exported network."""
