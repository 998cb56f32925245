"""Pure checks of the laws, each a function with a name."""
