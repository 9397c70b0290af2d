"""Generated from the contract of ImageStorage."""
