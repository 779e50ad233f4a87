"""Text encoders that several families share: transformers' own classes, built on `meta`, and their tokenizers."""
