"""Pictures of a network: Mermaid text and SVG, drawn from one topology."""
