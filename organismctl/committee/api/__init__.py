"""The node API over FastAPI: docs/formats/node-api.md, one file per group of endpoints."""
