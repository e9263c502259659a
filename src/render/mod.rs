//! Plans and events as text for people and machines.
