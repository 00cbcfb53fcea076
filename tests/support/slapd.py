"""A directory server, OpenLDAP's slapd, of a test's own: filled, frozen, killed, started anew.

Its folder is where the caller says; it listens on loopback alone, and ends by its id.
"""

import base64
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ldap3
import pytest

from tests.support.servers import START_SECONDS, free_port
from tests.support.tls import Certificate

BASE = "dc=example,dc=com"
BIND_DN = f"cn=gate,{BASE}"
BIND_PASSWORD = "bind-pässword"
_ROOT_DN = f"cn=root,{BASE}"
_ROOT_PASSWORD = "of-this-test-alone"

_SCHEMAS = Path("/etc/ldap/schema")
# Switches of other servers, so that their accounts can be put here.
_CONFIG = """\
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
attributetype ( 1.3.6.1.4.1.4203.666.11.1 NAME 'userAccountControl'
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.4203.666.11.2 NAME 'nsAccountLock'
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.4203.666.11.3 NAME 'loginDisabled'
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.4203.666.11.4 NAME 'groups' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.4203.666.11.9 NAME 'account2' AUXILIARY
  MAY ( userAccountControl $ nsAccountLock $ loginDisabled $ groups ) )
pidfile {folder}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
{tls}
database mdb
maxsize 67108864
suffix "{base}"
rootdn "{root_dn}"
rootpw {root_password}
directory {folder}/data
overlay ppolicy
index uid eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{bind_dn}" read by * {anonymous}
"""


class Slapd:
    """One server on this machine.

    Attributes:
        port: of ldap://, and of StartTLS.
        tls_port: of ldaps://, where it has a certificate.
    """

    def __init__(
        self, folder: Path, *, certificate: Certificate | None = None, anonymous: bool = False
    ) -> None:
        program = shutil.which("slapd") or "/usr/sbin/slapd"
        if not Path(program).exists() or not _SCHEMAS.is_dir():
            pytest.skip("slapd is not installed")
        self._folder = folder
        self._log = folder / "slapd.log"
        self._config = folder / "slapd.conf"
        self._slapadd = [str(Path(program).with_name("slapadd")), "-q", "-f", str(self._config)]
        self.port, self.tls_port = free_port(), free_port()
        (folder / "data").mkdir(parents=True)
        tls = ""
        urls = f"ldap://127.0.0.1:{self.port}"
        if certificate is not None:
            tls = f"TLSCertificateFile {certificate.certificate}\nTLSCertificateKeyFile {certificate.key}"
            urls += f" ldaps://127.0.0.1:{self.tls_port}"
        self._config.write_text(
            _CONFIG.format(
                schemas=_SCHEMAS,
                folder=folder,
                base=BASE,
                bind_dn=BIND_DN,
                root_dn=_ROOT_DN,
                root_password=_ROOT_PASSWORD,
                tls=tls,
                anonymous="read" if anonymous else "none",
            )
        )
        # -d 0: stays the child of the test, in the foreground, and logs what is wrong.
        self._command = [program, "-d", "0", "-f", str(self._config), "-h", urls]
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0
        self.add(
            {"dn": BASE, "objectClass": ["dcObject", "organization"], "o": "Example"},
            {
                "dn": BIND_DN,
                "objectClass": ["organizationalRole", "simpleSecurityObject"],
                "userPassword": BIND_PASSWORD,
            },
        )

    def add(self, *entries: Mapping[str, Any]) -> None:
        """Write entries, while it does not run."""
        assert self._process is None
        text = "\n".join("".join(_ldif_lines(entry)) for entry in entries)
        done = subprocess.run(self._slapadd, input=text.encode(), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    def add_people(self, people: Sequence[Mapping[str, Any]]) -> None:
        """People as SCIM writes them; a name may come twice, in entries of their own."""
        entries = []
        for person in people:
            self._number += 1
            entry = {
                "dn": f"employeeNumber={self._number},{BASE}",
                "objectClass": ["inetOrgPerson", "account2"],
                "sn": "x",
                "cn": "x",
                "uid": person["userName"],
            }
            entry |= {name: value for name, value in person.items() if name not in ("userName", "active")}
            if not person.get("active", True):
                entry["nsAccountLock"] = "TRUE"
            entries.append(entry)
        if entries:
            self.add(*entries)

    def change(self, user_name: str, attribute: str, value: str) -> None:
        """Give a person's attribute another value, while it runs."""
        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        with ldap3.Connection(server, _ROOT_DN, _ROOT_PASSWORD, raise_exceptions=True) as connection:
            connection.search(BASE, f"(uid={user_name})")
            (entry,) = connection.response
            connection.modify(entry["dn"], {attribute: [(ldap3.MODIFY_REPLACE, [value])]})

    def start(self) -> None:
        """Run it until it accepts connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=10).close()
            except OSError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.01)  # nothing announces a server that is ready; the loop is bounded
            else:
                return

    def freeze(self) -> None:
        """It goes on accepting connections, in its kernel's name, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(START_SECONDS)
            self._process = None


def _ldif_lines(entry: Mapping[str, Any]) -> Iterator[str]:
    for name, value in entry.items():
        for one in value if isinstance(value, list) else [value]:
            raw = one if isinstance(one, bytes) else str(one).encode()
            yield f"{name}:: {base64.b64encode(raw).decode()}\n"


@contextmanager
def slapd(
    folder: Path,
    people: Sequence[Mapping[str, Any]] = (),
    *,
    certificate: Certificate | None = None,
    anonymous: bool = False,
) -> Iterator[Slapd]:
    """A running server that holds these people, until the block ends."""
    server = Slapd(folder, certificate=certificate, anonymous=anonymous)
    try:
        server.add_people(people)
        server.start()
        yield server
    finally:
        server.kill()
