"""The command `facerec`: serve, enrol people, compare two pictures, label an archive, train.

Its parts are imported when they are needed, so that `facerec --help` and `facerec people list` are quick.
"""
