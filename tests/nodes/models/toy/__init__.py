"""A family of one matrix: what the smallest folder of a family has to say."""
