"""ASGI helpers that depend on no service."""
