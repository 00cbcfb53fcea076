"""The tool desk of Linden Instruments: an intranet program of 2005 that nobody dares to change.

`python -m examples.legacy --port 8081`

It believes the header `X-Forwarded-User`, as such programs do, and knows nothing else about who sits at the
other end. What it lends is in `desk`, its pages are in `pages`, HTTP is in `server`, the talk between people
in `intercom`.
"""
