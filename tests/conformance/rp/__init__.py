"""The certification's modules for relying parties, written anew.

The modules play the provider and the person's browser. They know a relying party by its addresses
(`target.RelyingParty`) and import nothing of ours.
"""
