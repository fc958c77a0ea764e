"""Listing queries: filters, index planner, keyset pagination."""
