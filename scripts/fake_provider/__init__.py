"""What the fake upstream is made of: plans, the wire, and the answers of each API."""
