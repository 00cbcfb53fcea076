"""Programs that show oidcgate at work; none of them is part of the distribution."""
