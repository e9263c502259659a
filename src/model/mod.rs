//! Nouns: plain data, no I/O, no clock, no printing.
