"""Where clients and tokens are kept: the promise in ``base``, one module for each kind of database."""
