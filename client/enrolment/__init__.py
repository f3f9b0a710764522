"""How a hospital joins a consortium: keys that stay, a request, a reply that is checked, keys compared."""
