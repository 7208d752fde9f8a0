"""What an operator does, by command line and admin API alike."""
