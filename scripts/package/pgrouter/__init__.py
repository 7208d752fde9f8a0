"""The package pgrouter of an editable install, which imports the folder app/ of the checkout."""
