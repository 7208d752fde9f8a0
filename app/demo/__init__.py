"""A provider and a tenant to try pgrouter with: fictional models, their recorded answers, a taught memory."""
