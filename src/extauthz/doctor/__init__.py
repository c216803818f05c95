"""What an operator may have forgotten: the gateway's file, and a deployment looked at from outside.

`envoy` and `nginx` are pure, text to findings; `probe` asks a running gateway; `expected` is what our own files say.
"""
