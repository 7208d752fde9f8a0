"""The OpenAPI document: generated from the routes of the application and the models declared beside each endpoint."""
