"""An invented province to look at and to learn with: nothing in it is real."""
