//! State, journal, locks and saved plans on disk.
