from graph_runtime.node import node


@node("fine/one", output=True)
def one() -> int:
    """One."""
    return 1
