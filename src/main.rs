//! The duplet program.

fn main() {
    let code = duplet::run(std::env::args_os().collect());
    std::process::exit(i32::from(code));
}
