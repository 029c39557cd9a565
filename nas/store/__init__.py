"""The memory of every study: one SQL database, records in and records out, rows never leave."""
