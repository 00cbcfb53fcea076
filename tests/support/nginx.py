"""nginx as a process of a test's own: it ends TLS in front of a server, as the manual says."""

import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from tests.support.servers import Server, running
from tests.support.tls import Certificate


def tls_in_front(
    folder: Path, port: int, behind: int, certificate: Certificate
) -> AbstractContextManager[Server]:
    """Answer over HTTPS on ``port`` for the server on ``behind``, which hears the Host that was asked for."""
    (folder / "nginx.conf").write_text(
        f"""
daemon off; pid {folder}/nginx.pid; worker_processes 1;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate.certificate}; ssl_certificate_key {certificate.key};
    location / {{
      proxy_pass http://127.0.0.1:{behind};
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
    }}
  }}
}}
"""
    )
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert program, "nginx is not installed"
    command: list[str | Path] = [
        program,
        "-p",
        folder,
        "-c",
        folder / "nginx.conf",
        "-e",
        folder / "nginx.log",
    ]
    return running(command, port=port, log=folder / "nginx.out", cwd=folder)
