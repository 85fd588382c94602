"""Labels for a whole archive of pictures: who is in them, in tables and in the photos' own metadata."""
