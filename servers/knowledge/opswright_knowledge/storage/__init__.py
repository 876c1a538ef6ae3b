"""Where the records are kept. Imported at the first use of the store, never at start."""
