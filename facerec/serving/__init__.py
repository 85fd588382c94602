"""The web service: HTTP around `facerec.inference`. Never imports torch."""
