"""What is put together from the files says from the start what an operator must know."""

from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from extauthz.app import build
from extauthz.config.load import load_service
from extauthz.keyfiles import read_validity
from support.certificates import Authority


async def test_when_certificates_of_ours_end_is_known_from_the_start(tmp_path: Path) -> None:
    """Those that Redis and authorization servers are shown; an expired one keeps nothing from starting."""
    authority = Authority(tmp_path)
    redis, ours = authority.issue("redis", expired=True), authority.issue("ours")
    service = {
        "listen": {"gateway": "127.0.0.1:9191", "ops": "127.0.0.1:9192"},
        "policy": "policy.yaml",
        "audit": {"path": "off"},
        "authorization_servers": {
            "main": {
                "introspection_endpoint": "https://as.example.com/i",
                "client": {"id": "gateway", "auth": "tls_client_auth"},
                "tls": {"certificate": ours.certificate.name, "key": ours.key.name},
            }
        },
        "shared_cache": {
            "redis": "rediss://127.0.0.1:1",
            "keys": {"env": "KEYS"},
            "tls": {"certificate": redis.certificate.name, "key": redis.key.name},
        },
    }
    (tmp_path / "policy.yaml").write_text("version: 1\nroutes: [{name: a, path: /a, scopes: []}]\n")
    (tmp_path / "extauthz.yaml").write_text(yaml.safe_dump(service))
    built = build(load_service(tmp_path / "extauthz.yaml", {"KEYS": "ab" * 32}))
    samples = [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(built.metrics.exposition()[0].decode())
        for sample in family.samples
    ]
    name = "extauthz_certificate_not_after_timestamp_seconds"
    main, cache = {"use": "authorization_server", "server": "main"}, {"use": "shared_cache", "server": ""}
    assert (name, main, read_validity(ours.certificate).ends) in samples
    assert (name, cache, read_validity(redis.certificate).ends) in samples
    told = {"what": "certificate_not_valid", "subject": "shared_cache"}
    assert ("extauthz_happenings_total", told, 1.0) in samples
    await built.close()
