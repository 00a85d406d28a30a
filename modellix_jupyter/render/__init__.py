"""Layer 2, pure: values to ``text/plain`` and escaped ``text/html``; no clock, no disk."""

from modellix_jupyter.render.bundle import mimebundle
from modellix_jupyter.render.cards import cards_html, overview
from modellix_jupyter.render.escape import data_uri_ok, html, link, plain
from modellix_jupyter.render.grid import Grid, grid_html, grid_text
from modellix_jupyter.render.report import report_html
from modellix_jupyter.render.table import table_html, table_text
from modellix_jupyter.render.text import cards_text
from modellix_jupyter.render.values import Card, Media
from modellix_jupyter.render.words import price_words, usd

__all__ = [
    "Card",
    "Grid",
    "Media",
    "cards_html",
    "cards_text",
    "data_uri_ok",
    "grid_html",
    "grid_text",
    "html",
    "link",
    "mimebundle",
    "overview",
    "plain",
    "price_words",
    "report_html",
    "table_html",
    "table_text",
    "usd",
]
