"""`python -m app` is the `pgrouter` command."""

from app.cli import main

main()
