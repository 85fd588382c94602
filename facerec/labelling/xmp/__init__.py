"""The people in photos, in the photos' own metadata: read from XMP, and written to sidecars."""
