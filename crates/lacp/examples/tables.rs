//! Prints the state machines as Markdown: `cargo run -p lacp --example tables`.

fn main() -> std::fmt::Result {
    let mut text = String::new();
    lacp::table::markdown(&mut text)?;
    print!("{text}");
    Ok(())
}
