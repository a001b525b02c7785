"""What is kept: engine, migrations, the one writer, queries, permits, retention and erasure."""
