//! Build, package and test commands.
fn main() {}
