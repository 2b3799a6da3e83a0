"""YAML that somebody else may have written, read in time and memory that its size bounds."""

from typing import Any

import yaml

MAX_REPEATED = (
    10_000  # nodes that stand for others (anchors and aliases): a few lines of them can mean billions
)
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(data: bytes) -> Any:
    """What YAML says, as plain values: nothing in it names code.

    Raises:
        ValueError: if it is no YAML, no text, nested too deep, or larger than it looks.
    """
    loader = LOADER(data.decode("utf-8"))
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        own: dict[int, int] = {}
        if b"*" in data and _size(node, own) - len(own) > MAX_REPEATED:
            raise ValueError(f"its aliases repeat more than {MAX_REPEATED} values")
        return loader.construct_document(node)
    except (yaml.YAMLError, RecursionError, TypeError) as error:  # TypeError: a mapping as a key
        raise ValueError(str(error)) from error
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Nodes of the tree that a node stands for; `known` has that of each that was seen, by its id."""
    if id(node) not in known:
        known[id(node)] = 2**62  # of one that holds itself
        pairs = node.value if isinstance(node, yaml.CollectionNode) else ()
        below = (item for pair in pairs for item in (pair if isinstance(pair, tuple) else (pair,)))
        known[id(node)] = 1 + sum(_size(item, known) for item in below)
    return known[id(node)]
