"""What was taught, in vectors."""
