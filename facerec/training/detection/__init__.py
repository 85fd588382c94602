"""The face detector: learned from crops whose face stands at a known place, pasted into larger pictures."""
