"""Apache httpd with mod_oauth2: introspection inside the server. It has no routes, and asks for no scope here."""

import shutil
from pathlib import Path

from bench.stage import Part, Stage
from bench.workload import CLIENT_SECRET

_MODULES = Path("/usr/lib/apache2/modules")
_PROGRAM = shutil.which("apache2", path="/usr/sbin:/usr/bin")
_LOADED = ("mpm_event", "authn_core", "authz_core", "oauth2", "proxy", "proxy_http")


def missing() -> str:
    """What has to be installed first."""
    there = _PROGRAM is not None and (_MODULES / "mod_oauth2.so").exists()
    return "" if there else "apt-get install --no-install-recommends libapache2-mod-oauth2"


def start(stage: Stage) -> Part:
    """One process with as many threads as there are connections; answers are kept in shared memory until `exp`."""
    app, introspection = stage.start_backends()
    (port,) = stage.ports(1)
    prefix = stage.prefix("apache")
    modules = "\n".join(f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in _LOADED)
    options = f"introspect.auth=client_secret_basic&client_id=gateway&client_secret={CLIENT_SECRET}"
    file = stage.folder / "apache.conf"
    file.write_text(
        f"""
{modules}
ServerRoot {prefix}
ServerName localhost
PidFile {prefix}/pid
DefaultRuntimeDir {prefix}
Listen 127.0.0.1:{port}
User nobody
Group nogroup
ErrorLog {prefix}/error.log
LogLevel warn
ServerLimit 1
ThreadLimit 128
StartServers 1
ThreadsPerChild 128
MaxRequestWorkers 128
KeepAlive On
MaxKeepAliveRequests 0
OAuth2Cache shm max_entries=10000
OAuth2TokenVerify introspect {introspection} {options}
<Location />
    AuthType oauth2
    Require oauth2_claim active:true
    ProxyPass http://127.0.0.1:{app}/
</Location>
""",
        encoding="utf-8",
    )
    assert _PROGRAM is not None
    return stage.start_part("peer apache", [_PROGRAM, "-D", "FOREGROUND", "-f", str(file)], port, gateway=True)
