"""SVG as PNG, by the optional package resvg-py."""

from opswright_core.errors import BadInputError


def as_png(svg: str) -> bytes:
    """Render SVG. Raises BadInputError where the extra is not installed."""
    try:
        import resvg_py
    except ModuleNotFoundError as exc:
        raise BadInputError(
            "PNG needs the extra: pip install 'opswright-aws-devops[pictures]'. "
            "The .svg of the same address works without it."
        ) from exc
    return bytes(resvg_py.svg_to_bytes(svg_string=svg))
