"""Model calls of our own: `generate` and `embed`, over aiohttp."""
