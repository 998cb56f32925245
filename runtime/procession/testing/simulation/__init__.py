"""The parts of `simulate`: the real engine on a disk that fails, in a world that misbehaves, all of it by a seed."""
