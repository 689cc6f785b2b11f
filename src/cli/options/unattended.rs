//! What a run does when nobody watches: scripts around it, reports about it, and how much it takes from others.

use super::options;
use crate::base::opt::Kind::{Choice, Flag, Int, Secret, Span, Text, Word};

macro_rules! runs {
    ($($more:literal),*) => {
        &[
            "backup",
            "restore",
            "list",
            "find",
            "list-filesets",
            "list-folder-content",
            "list-file-versions",
            "search-entries",
            "compare",
            "verify",
            "delete",
            "compact",
            "repair",
            "purge",
            "purge-broken-files",
            "list-broken-files",
            "affected",
            "copy",
            $($more),*
        ]
    };
}

/// Commands that go to a destination and are one undertaking.
pub(super) const RUNS: &[&str] = runs!();
/// Commands with scripts around them: all that read or write a destination or the sources.
const SCRIPTED: &[&str] = runs!("cat", "mount", "remote", "test-filters");
const BACKUP: &[&str] = &["backup"];
const FORMATS: &[&str] = &["Duplicati", "Json"];

options! { LIST:
    SCRIPT_BEFORE = "run-script-before", Text, "", SCRIPTED, "Program to run before the command; its exit code says whether and how to go on.";
    SCRIPT_REQUIRED = "run-script-before-required", Text, "", SCRIPTED, "Program to run before the command, which fails (exit code 100) unless that ends with 0.";
    SCRIPT_AFTER = "run-script-after", Text, "", SCRIPTED, "Program to run after the command, however that ended.";
    SCRIPT_POST = "run-script-post-backup", Text, "", BACKUP, "Program to run as soon as a backup has ended, before --run-script-after.";
    SCRIPT_TIMEOUT = "run-script-timeout", Span, "60s", SCRIPTED, "Time that a script may take before it is killed; 0s for any.";
    SCRIPT_ARGUMENTS = "run-script-with-arguments", Flag, "", SCRIPTED, "The scripts' values are command lines: a program and its arguments, quoted where they hold blanks.";
    SCRIPT_FORMAT = "run-script-result-output-format", Choice(FORMATS), "Duplicati", SCRIPTED, "Form of the file that DUPLICATI__RESULTFILE names: lines of Name: value, or the object of --json.";
    REPORT_URL = "send-http-url", Secret, "", RUNS, "Addresses, separated by ;, to which the JSON object of a backup is sent when it has ended, however it ended.";
    REPORT_JSON = "send-http-json-urls", Secret, "", RUNS, "As --send-http-url, in the form of Duplicati's reports: the object is in Data, with Extra, LogLines and Exception beside it.";
    REPORT_FORM = "send-http-form-urls", Secret, "", RUNS, "As --send-http-url, as a form with the message in words.";
    REPORT_VERB = "send-http-verb", Choice(&["POST", "GET", "PUT", "PATCH", "HEAD"]), "POST", RUNS, "Method of the report's request; GET and HEAD send no text.";
    REPORT_LEVEL = "send-http-level", Text, "All", RUNS, "Results that are reported: Success, Warning, Error, Fatal, separated by commas, or All.";
    REPORT_ANY = "send-http-any-operation", Flag, "", RUNS, "Other commands than backup are reported, too.";
    REPORT_FORMAT = "send-http-result-output-format", Choice(FORMATS), "Json", RUNS, "What --send-http-url sends: the object of --json, or words.";
    REPORT_MESSAGE = "send-http-message", Text, "", RUNS, "Words to send in place of the object, such as '%OPERATIONNAME% of %backup-name%: %PARSEDRESULT%'.";
    REPORT_PARAMETER = "send-http-message-parameter-name", Word, "message", RUNS, "Name of the message in the form of --send-http-form-urls.";
    REPORT_EXTRA = "send-http-extra-parameters", Secret, "", RUNS, "Further fields of that form, as name=value&name=value.";
    REPORT_LINES = "send-http-max-log-lines", Int(0), "100", RUNS, "Most warnings and errors in LogLines of --send-http-json-urls.";
    THREAD_PRIORITY = "thread-priority", Choice(&["Idle", "Lowest", "BelowNormal", "Normal", "AboveNormal", "Highest"]), "Normal", RUNS, "How the processor is shared with others (nice 19, 15, 5, 0, -5, -10).";
    BACKGROUND_IO = "use-background-io-priority", Flag, "", RUNS, "Reads and writes disks only when nobody else does, where the disk's scheduler knows of that.";
    NOT_ON_BATTERY = "disable-on-battery", Flag, "", BACKUP, "Does nothing, with exit code 1, while the machine runs on its battery.";
}
