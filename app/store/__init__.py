"""Everything the process says to Postgres: each function here is one statement, which calls one function of `sql/`."""
