"""The HTTP client of providers and its failures."""
