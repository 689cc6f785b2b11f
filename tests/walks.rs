//! The tests of what a restore meets in its target, on a system without `openat2`: there it walks from folder to folder.

mod support;

#[path = "badinput.rs"]
mod badinput;
#[path = "restore_modes.rs"]
mod restore_modes;
#[path = "restore_way.rs"]
mod restore_way;
