"""Several runs side by side, for a terminal, a pull request and a browser.

table.py     the files of the runs -> lines of text, one cell a run
markdown.py  the lines as Markdown
page.py      the lines as one self-contained HTML file, in the style of the report
"""
