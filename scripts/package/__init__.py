"""Packaging: the folder app/ is installed as the package pgrouter."""
