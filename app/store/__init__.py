"""The SQL of the process: each function executes one statement, which calls one function of `sql/`."""
