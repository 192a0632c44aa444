"""Files that take long to make: made by the worker, fetched afterwards by who asked for them."""
