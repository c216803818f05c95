"""New files in force without a restart, by whatever asks for it: a change that is seen, SIGHUP, or `POST /reload`.

1. watching   the files have changed, and have been quiet for a moment
2. compiling  a process of its own reads, judges and compiles them; requests notice nothing
3. outcome    its result, in a file: the compiled policy, or every fault
4. live       each worker takes it over whole, or leaves all as it was

`reloads` does 2 to 4 once for each asking, in the supervisor if there is one, else in the only worker; `lines` is how a
supervisor and its workers talk.
"""
