"""The fake provider: plans, HTTP, and the answers of each API."""
