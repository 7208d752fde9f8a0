"""The cost of requests: limits before, the ledger after."""
