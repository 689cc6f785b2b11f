//! The duplet program.

fn main() {}
