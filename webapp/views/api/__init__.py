"""`/api/v1`: other systems' door. Each operation is described once, by its decorator: that is what
reads the request, and what the OpenAPI document is made of (docs/decisions/0012-api.md)."""
