"""Training of the face detector on synthetic scenes: face crops pasted at known positions into larger pictures."""
