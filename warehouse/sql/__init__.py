"""SQL of the warehouse: numbered migrations, views replaced at every start, one file per named query."""
