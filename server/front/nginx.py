"""The rules of the front as a configuration of nginx (1.22 or later, with its stock modules).

What nginx cannot do is said in its head: it cannot hash, so that certificates and node keys are bound by a table of
the members, made again when they change; and it cannot look into a body, so that a reply's sender is not looked at.
"""

from __future__ import annotations

import re
from base64 import b64encode
from pathlib import Path

from common.consortium.certificates import ORGANISATION
from common.errors import FileError, StudyError
from common.files.access import is_there, names, read
from server.coordinator_folder import NODE_KEYS
from server.front.rules import MOST_HEAD_BYTES, PATHS, PUBLIC_KEY, REQUEST_HEADERS
from server.front.settings import AUTHORITY, CERTIFICATE, KEY, REVOKED, FrontSettings

HIDDEN = ("set-cookie", "x-powered-by", "via", "link", "location", "alt-svc")
LARGEST_KEY_BYTES = 1 << 14
_PLAIN = re.compile(r"[\w./@:+=, -]{1,4000}")
_TEMPLATE = """\
# Written by `wardround server nginx`; write it again whenever a member joins, leaves or has a new node key, then
# `nginx -t && nginx -s reload`. After a new revocation list or certificate, `nginx -s reload` too.
# Unlike `wardround server front`, nginx cannot look into a request: it does not see whether a reply names its sender.
worker_processes auto;
worker_rlimit_nofile 4096;
error_log stderr warn;

events {{
    worker_connections 1024;
}}

http {{
    server_tokens off;
    default_type application/octet-stream;
    log_format wardround escape=json '{{"time":"$time_iso8601","event":"request","hospital":"$ssl_client_s_dn",'
        '"path":"$uri","status":$status,"received_bytes":$request_length,"sent_bytes":$body_bytes_sent}}';
    access_log /dev/stdout wardround;

    # A certificate's owner and the node key of a request: one pair a member.
    map_hash_bucket_size 1024;
    map "$ssl_client_s_dn $http_{key_variable}" $own_key {{
        default 0;
{members}    }}
    # Byte for byte as it came: what nginx decodes or merges is not what it was asked. (Only patterns heed case.)
    map $request $exact {{
        default 0;
{exact}    }}
    map $http_connection $plain_connection {{
        default 0;
        "" 1;
        "keep-alive" 1;
        "close" 1;
    }}
    limit_conn_zone $ssl_client_s_dn zone=certificate:1m;
    limit_conn_zone $binary_remote_addr zone=address:1m;

    upstream superlink {{
        server {upstream};
        keepalive 32;
        keepalive_timeout 4s;
    }}

    server {{
        listen {listen} ssl{listen_more};
        ssl_certificate "{certificate}";
        ssl_certificate_key "{key}";
        ssl_protocols TLSv1.3;
        ssl_client_certificate "{authority}";
        ssl_verify_client on;
        ssl_verify_depth 1;
        ssl_crl "{revoked}";
        ssl_session_tickets off;
        ssl_session_cache off;

        merge_slashes off;
        client_max_body_size {body_bytes};
        client_body_buffer_size 1m;
        client_header_buffer_size {head_bytes};
        large_client_header_buffers 2 {head_bytes};
        client_header_timeout {head_s}s;
        client_body_timeout {head_s}s;
        send_timeout {head_s}s;
        keepalive_timeout {idle_s}s;
        keepalive_time {age_s}s;
        keepalive_requests 1000000;
        reset_timedout_connection on;
        limit_conn certificate {each};
        limit_conn address {opening};
        limit_conn_status 503;

        if ($exact = 0) {{
            return 404;
        }}
        if ($http_transfer_encoding) {{
            return 411;
        }}
        if ($http_content_length = "") {{
            return 411;
        }}
        if ($http_upgrade) {{
            return 400;
        }}
        if ($http_expect) {{
            return 400;
        }}
        if ($http_content_encoding) {{
            return 400;
        }}
        if ($plain_connection = 0) {{
            return 400;
        }}
        if ($own_key = 0) {{
            return 403;
        }}

        proxy_http_version 1.1;
        proxy_pass_request_headers off;
        proxy_set_header Connection "";
        proxy_set_header Host "localhost";
{passed}{hidden}        proxy_connect_timeout 5s;
        proxy_read_timeout {answer_s}s;
        proxy_send_timeout {answer_s}s;
        proxy_request_buffering on;
        proxy_redirect off;
        proxy_intercept_errors off;
        proxy_next_upstream off;
        proxy_max_temp_file_size 0;
{link_tls}
{locations}
        location / {{
            return 404;
        }}
    }}
}}
"""


def configuration(folder: Path, settings: FrontSettings) -> str:
    """Of the coordinator whose folder that is. Raises StudyError where a path cannot stand in such a file."""
    scheme, _, upstream = settings.link.partition("://")
    root = folder.absolute()
    files = {"certificate": CERTIFICATE, "key": KEY, "authority": AUTHORITY, "revoked": REVOKED}
    return _TEMPLATE.format(
        **{name: _quotable(f"{root}/{file}") for name, file in files.items()},
        key_variable=_variable(PUBLIC_KEY),
        members=_members(folder),
        exact="".join(f"        {_pattern(f'POST {path} HTTP/1.1')} 1;\n" for path in sorted(PATHS)),
        upstream=_quotable(upstream),
        listen=_listen(settings),
        listen_more=" ipv6only=off" if not settings.listen else "",
        body_bytes=settings.body_bytes,
        head_bytes=MOST_HEAD_BYTES,
        head_s=max(1, round(settings.head_s)),
        idle_s=max(1, round(settings.idle_s)),
        age_s=max(1, round(settings.age_s)),
        answer_s=max(1, round(settings.answer_s)),
        each=settings.connections_each,
        opening=settings.opening,
        passed=_passed(),
        hidden=_hidden(),
        link_tls=_link_tls(root, settings) if scheme == "https" else "",
        locations=_locations(scheme),
    )


def _listen(settings: FrontSettings) -> str:
    host = f"[{settings.listen}]" if ":" in settings.listen else settings.listen
    return f"{_quotable(host)}:{settings.port}" if host else f"[::]:{settings.port}"


def _locations(scheme: str) -> str:
    one = "        location = {path} {{\n            proxy_pass {scheme}://superlink;\n        }}\n"
    return "".join(one.format(path=path, scheme=scheme) for path in sorted(PATHS))


def _passed() -> str:
    line = "        proxy_set_header {name} $http_{variable};\n"
    named = "".join(line.format(name=name, variable=_variable(name)) for name in REQUEST_HEADERS)
    return named.replace("$http_content_type", "$content_type")


def _hidden() -> str:
    """nginx has no list of what may pass back; it drops `Server` and `Date` by itself."""
    return "".join(f"        proxy_hide_header {name};\n" for name in HIDDEN)


def _link_tls(root: Path, settings: FrontSettings) -> str:
    """nginx holds a certificate against names alone, not against addresses: the link's must carry `localhost`."""
    authority = _quotable(f"{root}/{settings.link_authority}")
    shown = ""
    if is_there(root, settings.link_identity):
        identity = _quotable(f"{root}/{settings.link_identity}")
        shown = f'        proxy_ssl_certificate "{identity}";\n        proxy_ssl_certificate_key "{identity}";\n'
    return shown + (
        f'        proxy_ssl_trusted_certificate "{authority}";\n        proxy_ssl_verify on;\n'
        f'        proxy_ssl_name "localhost";\n        proxy_ssl_protocols TLSv1.2 TLSv1.3;\n'
    )


def _members(folder: Path) -> str:
    """One line each: the certificate's subject as nginx writes it (RFC 2253), and the key as Flower sends it."""
    found = [one.removesuffix(".pub") for one in names(folder, NODE_KEYS) if one.endswith(".pub")]
    if not found:
        raise StudyError(f"{NODE_KEYS}/ in the coordinator's folder holds no member's node key: nobody could enter.")
    pairs = [f"CN={_rfc2253(one)},O={ORGANISATION} {_key(folder, one)}" for one in found]
    return "".join(f"        {_pattern(pair)} 1;\n" for pair in pairs)


def _pattern(text: str) -> str:
    """Exactly this text, case heeded. nginx takes one backslash of two away before PCRE sees them."""
    return '"~^' + re.escape(text).replace("\\", "\\\\").replace('"', '\\"') + '$"'


def _rfc2253(name: str) -> str:
    """A value of a distinguished name as OpenSSL writes it."""
    escaped = re.sub(r'[,+"\\<>;]', lambda found: "\\" + found[0], name)
    return "".join(one if one.isascii() else "".join(f"\\{byte:02X}" for byte in one.encode()) for one in escaped)


def _key(folder: Path, name: str) -> str:
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    from common.consortium.certificates import PublicKey, node_bytes

    file = f"{NODE_KEYS}/{name}.pub"
    try:
        key = load_ssh_public_key(read(folder, file, LARGEST_KEY_BYTES))
    except ValueError as error:
        raise FileError(folder / file, "is no public key of OpenSSH") from error
    if not isinstance(key, PublicKey):
        raise FileError(folder / file, "is no ECDSA key")
    return b64encode(node_bytes(key)).decode()


def _variable(header: str) -> str:
    return header.replace("-", "_")


def _quotable(text: str) -> str:
    """Raise StudyError for what would be read as something else within quotation marks."""
    if not _PLAIN.fullmatch(text):
        raise StudyError(f"{text[:100]!r} cannot stand in a configuration of nginx: use letters, digits and ./@:+=-_")
    return text
