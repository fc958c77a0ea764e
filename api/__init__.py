"""The service that answers questions about images and changes tags, and the gallery page."""
