"""Writes the reference tables of the documents from what the code declares."""
