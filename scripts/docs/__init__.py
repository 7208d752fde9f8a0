"""Writes the reference tables of the documents from the code: `make docs`."""
