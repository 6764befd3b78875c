"""A model, or several side by side, as one HTML page that stands alone: nothing is loaded, everything is in the file.

`page` puts the page together from `sections`, each of which works out what it shows; `templates` say how it looks as
HTML, `charts` draws the pictures, and `assets` holds the page's style and its script. Without the script all of the
content is there; the script sorts, filters and folds the layer table and lights up a layer wherever it is shown.
"""
