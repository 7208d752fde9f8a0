"""The actions of an operator, shared by the command line and the admin API."""
