"""Graphs of nodes: what a node is, what to run, running it. Knows graphs and never a tensor."""
