"""Reads files of examples in the formats in which people have labels."""
