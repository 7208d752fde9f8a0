"""`python -m pgrouter` of an editable install."""

from app.cli import main

main()
