//! Options of Drime and FileJump, by Duplicati's names.

use crate::base::opt::{Kind, Opt, ignored, row, secret, text};

pub(super) const TOKEN: Opt = secret(
    "api-token",
    "Token of the account, made in its settings; else --auth-username and --auth-password.",
);
pub(super) const API: Opt = text("api-url", "Address of the service, its own without it.");
pub(super) const WORKSPACE: Opt = row(
    "workspace-id",
    Kind::Int(0),
    "0",
    "Workspace of the folder; 0 is the personal one.",
);
pub(super) const PAGE: Opt = row(
    "page-size",
    Kind::Int(1),
    "1000",
    "Files asked for at once in a listing.",
);
pub(super) const SOFT: Opt = row(
    "soft-delete",
    Kind::Flag,
    "",
    "What is deleted goes to the trash of the account, where it counts.",
);

pub(super) static DRIME: &[Opt] = &[TOKEN, API, WORKSPACE, PAGE, SOFT];
pub(super) static FILEJUMP: &[Opt] = &[
    TOKEN,
    API,
    PAGE,
    ignored(SOFT.name, "No effect: nothing is deleted there."),
];
