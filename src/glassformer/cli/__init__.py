"""The command line: thin, and slow imports only where they are needed."""
