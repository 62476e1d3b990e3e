"""The application behind Ray Serve: replicas, their exchanges, and what the proxies of Serve answer themselves."""
