"""The report of a run as one self-contained HTML file.

gather.py    reads the run's files into Facts (light: no drawing, no templates)
words.py     the sentences about a run: verdict, limits, what to do next (of an evaluation: steps/evaluation/sentences.py)
decision.py  the first half in numbers: scores, weakest segments, what is read at a glance
evidence.py  the second half in words: labels, division, columns, training, lineage
markup.py    text, values and positions as HTML
figures.py   plots as inline SVG in the colours of the page
page.py      Facts -> HTML (jinja2), written whole or not at all
"""
