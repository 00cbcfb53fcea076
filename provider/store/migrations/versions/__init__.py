"""One file per change, in order. A file that was released is never edited."""
