"""The question a study asks: its file, its budget, and the space it may draw from."""
