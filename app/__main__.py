"""`python -m app` is the `pgrouter` command."""

from .cli import main

main()
