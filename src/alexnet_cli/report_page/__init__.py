"""A model, or several side by side, as one HTML page that stands alone: it loads nothing.

`page` puts the page together from the sections of one model, or those of a `comparison`; each computes its content,
and `templates` turn that into HTML. `assets` has the style and the scripts. All content is there without scripts; they
sort, filter and fold the layer table and highlight a layer wherever it is shown.
"""
