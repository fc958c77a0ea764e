"""The API service: lists of images, tags, libraries, events, and the gallery page."""
