"""ASGI helpers that know no service."""
