"""One file a schema; a released one never changes."""
