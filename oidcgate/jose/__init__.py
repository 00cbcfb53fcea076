"""Thin policy over joserfc: pinned algorithms, key choice, remote key sets; no claims, no network."""
