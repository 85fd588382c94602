"""Training: from a folder of people to evaluated, calibrated and exported networks. Needs torch."""
