"""What the nodes are made of: model code on torch, which knows nothing of graphs, nodes or wires."""
