"""Carries one request to a provider and its answer back."""
