"""What the measurements are compared with."""
