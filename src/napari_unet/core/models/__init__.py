"""The networks, one architecture a file; `build` turns a ModelConfig into one."""
