"""The verbs of the command as functions: the same name, the same options, and the answer as a value.

Nothing here needs torch before a function is called that does, so that `import compound` and `from compound import *`
need none. What `to_json` of an answer gives is what the command prints with `--json`.
"""
