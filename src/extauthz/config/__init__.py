"""The two files of an operator, `extauthz.yaml` and `policy.yaml`: read, judged as a whole, compiled.

Every fault of both files is reported at once, each with its place. Only `load` touches disk and environment.
"""
