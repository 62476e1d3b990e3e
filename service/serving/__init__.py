"""The server process: HTTP on sockets, workers and their supervisor, and the orderly end of both."""
