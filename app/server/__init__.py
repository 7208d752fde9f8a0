"""Runs the application: uvicorn, workers, middleware, error handlers."""
