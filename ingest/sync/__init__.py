"""Keeps the catalog equal to a folder: walk, diff, change applier, root guard and mass-deletion guard."""
