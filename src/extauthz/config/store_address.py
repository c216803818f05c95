"""Where the embedded authorization server keeps clients and tokens, as an address that holds no password."""

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from extauthz.config.values import Misfit

_SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql://", "postgres://")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAddress:
    """Either the `path` of a SQLite file or the `url` of a PostgreSQL database; the other one is empty."""

    path: str = ""
    url: str = ""

    def __str__(self) -> str:
        return self.url or _SQLITE + self.path

    def with_password(self, password: str | None) -> str:
        """The URL of the database for a driver, with the password in it; never to be shown."""
        if password is None:
            return self.url
        scheme, _, rest = self.url.partition("://")
        user, at, host = rest.rpartition("@")
        return f"{scheme}://{user}:{quote(password, safe='')}{at or '@'}{host}"


def parse_store(text: str) -> StoreAddress:
    """An address such as `sqlite:////var/lib/as.db` or `postgresql://user@host/name`.

    Raises:
        Misfit: when it is none, or when a password stands in it.
    """
    if text.startswith(_SQLITE):
        path = text.removeprefix(_SQLITE)
        if path in {"", ":memory:"}:
            raise Misfit("the store needs a file: write sqlite:///path.db")
        return StoreAddress(path=path)
    if not text.startswith(_POSTGRESQL):
        raise Misfit("a store is sqlite:///path.db or postgresql://user@host/name")
    if _has_password(text):
        raise Misfit("a password does not stand in the URL, where others can read it: give it in a file of its own")
    return StoreAddress(url=text)


def _has_password(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        raise Misfit("a store is sqlite:///path.db or postgresql://user@host/name") from None
    return parts.password is not None or "password=" in parts.query.lower()
