"""The face detector: learned from frames whose face stands at a known place, pasted into larger pictures."""
