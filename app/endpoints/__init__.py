"""The JSON API of tenants and operators."""
