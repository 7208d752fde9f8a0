"""Selects the models that may serve a request, and orders them."""
