"""When the files are read again: the section `reload` of `extauthz.yaml`. Times in seconds."""

from extauthz.config.fields import Flag, Settle
from extauthz.config.section import Section


class Reload(Section):
    """Whether a change of the files is noticed by itself, and how long they must be quiet before they are read."""

    watch: Flag = True
    settle: Settle = 0.2
