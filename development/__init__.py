"""Tools that check the project itself; nothing of the service imports them."""
