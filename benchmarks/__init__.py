"""Side by side with peers, in one run on one machine. Figures only: nothing here passes or fails."""
