"""The charts of the page: specifications for Vega-Lite, and what turns them into SVG that is part of the page."""
