"""The HTTP surface: one noun a file, routes as plain data."""
