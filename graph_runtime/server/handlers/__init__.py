"""What each route does, by noun. A handler is given a `Call` and answers with a message of `wire` or a response."""
