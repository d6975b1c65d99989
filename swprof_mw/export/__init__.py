"""Profiles as files for other tools: one module a format, pure functions from the trees that OAP answers.

``formats`` lists them; ``profile`` is what all of them start from.
"""
