"""Laws that hold for every input, and the strategies and second opinions that they are checked with."""
