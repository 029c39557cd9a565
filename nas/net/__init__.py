"""Everything that touches a tensor: networks as modules, their training, and their export."""
