"""What a person sees to set up an authenticator: the address an app takes, its QR code, the secret in groups.

Making secrets and checking codes is `totp` next door.
"""

import pyotp
import segno
from markupsafe import Markup

from provider.factors.totp import DIGITS, STEP_SECONDS

#: Bytes of a name in the address. A longer one makes a QR code that phones cannot read, or that there is none
#: of.
_LONGEST_NAME = 48


def otpauth_uri(secret: str, *, account: str, issuer: str) -> str:
    """The address that authenticator apps take.

    Args:
        account: Whose it is; anybody's text, so it is cut and percent-encoded.
        issuer: What the provider is called.
    """
    return pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS).provisioning_uri(
        # Apps cut the label at its colon, and some do so after decoding it.
        name=_label(account),
        issuer_name=_label(issuer),
    )


def qr_code(uri: str) -> Markup:
    """The address as a QR code: an `<svg>` of two paths, without style, script or text.

    It has its own white ground: a dark page would make it unreadable to some cameras.
    """
    drawing = segno.make_qr(uri, error="m").svg_inline(
        omitsize=True, border=4, dark="#000", light="#fff", svgclass=None, lineclass=None
    )
    return Markup(drawing)  # noqa: S704 (numbers and commands of paths; no text of the address is in it)


def grouped(secret: str) -> str:
    """The secret as it is read aloud and typed."""
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))


def _label(text: str) -> str:
    cut = text.replace(":", "_").encode()[:_LONGEST_NAME].decode("utf-8", "ignore")
    return cut or "?"
