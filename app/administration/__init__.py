"""What an operator does to tenants, keys, providers, models and policies, by command line and by admin API alike."""
