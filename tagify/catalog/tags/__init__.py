"""Tags: repository, edits, batch writes, renames, undo log, count verification."""
