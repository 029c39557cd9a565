"""The socket for block plugins, and the one walk that carries shapes through a network."""
