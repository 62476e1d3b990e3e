"""The server process: HTTP on sockets, workers and whoever watches over them, and the orderly end of both."""
