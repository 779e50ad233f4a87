"""Parts that several families share word for word. A part knows neither a family nor a checkpoint."""
