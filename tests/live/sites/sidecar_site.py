"""The site `app.test` with the sidecar: the command `oidcgate`, in a process that finds the sites."""

from oidcgate.cli import main
from tests.live.sites.names import lead_here

if __name__ == "__main__":
    lead_here()
    main(prog_name="oidcgate")
