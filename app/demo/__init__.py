"""The demo: recorded answers of three models, and a provider that replays them when there is no API key."""
