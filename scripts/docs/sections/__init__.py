"""The generated sections: one module each, whose `markdown()` returns the section's text."""
