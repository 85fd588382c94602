"""The web service: HTTP around `facerec.inference`. Never imports torch."""

import os

# NumPy reads this variable when it is imported. Faces are compared in a fraction of a millisecond; a product in several
# threads would wait for CPUs that the workers use, up to 30 ms with 10,000 people.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
