"""The package pgrouter of an editable install: a face of the folder app/, which stays where it is."""
