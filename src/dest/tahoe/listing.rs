//! A directory as a gateway tells it: one document with an entry for each name, read as it comes.

use crate::base::fault::{Class, Done, Fault};
use crate::dest::objects::Each;
use crate::dest::{Listed, RemoteFile};
use crate::net::http::Reply;
use crate::net::json::{self, Step, Value};
use crate::net::service::html::not_html;
use crate::net::service::pages::incomplete;

/// `["dirnode",{"children":{NAME:["filenode",{"size":1,"metadata":{"tahoe":{"linkmotime":1.5}}}]}}]`, of at most
/// [`json::LIST_MAX_BYTES`]. Other kinds of nodes than files and directories are left out.
pub(super) fn read(reply: &mut Reply, who: &str, each: &mut Each<'_>) -> Done<()> {
    not_html(reply, "JSON", who)?;
    let io = reply.io_fault();
    let (mut kind, mut has_children, mut theirs) = (String::new(), false, false);
    let (mut file, mut node) = (RemoteFile::default(), String::new());
    let done = json::read(reply, json::LIST_MAX_BYTES, &io, &mut |step| {
        let (path, value) = match step {
            Step::Open { path } => (path, None),
            Step::Value { path, value } => (path, Some(value)),
            Step::Close { path } => {
                if path.len() == 3 && is_child(path) {
                    match node.as_str() {
                        "filenode" | "dirnode" => {
                            file.is_folder = node == "dirnode";
                            let whole = std::mem::take(&mut file);
                            each(Listed::Entry(whole)).inspect_err(|_| theirs = true)?;
                        }
                        "" => return Err(incomplete("an entry says nothing")),
                        _ => {}
                    }
                }
                return Ok(());
            }
        };
        match (path, value) {
            ([_], Some(Value::Text(text))) => text.clone_into(&mut kind),
            ([_, children], None) => has_children |= children == "children",
            (path, _) if !is_child(path) => {}
            ([_, _, name], None) => {
                node.clear();
                file = RemoteFile {
                    name: name.clone(),
                    ..RemoteFile::default()
                };
            }
            ([_, _, _], Some(_)) => return Err(incomplete("an entry says nothing")),
            ([_, _, _, _], Some(Value::Text(text))) => text.clone_into(&mut node),
            ([_, _, _, _, key], Some(Value::Number(n))) if key == "size" => file.size = Some(n),
            ([_, _, _, _, _, tahoe, key], Some(value))
                if tahoe == "tahoe" && key == "linkmotime" =>
            {
                file.modified = seconds(&value);
            }
            _ => {}
        }
        Ok(())
    });
    done.map_err(|fault| match fault.class {
        Class::Protocol if !theirs => incomplete(&fault.text),
        _ => fault,
    })?;
    match kind.as_str() {
        "dirnode" if has_children => Ok(()),
        "filenode" => Err(Fault::new(Class::Unsupported, super::IS_FILE)),
        // A capability that is none, for all the gateway can tell.
        "unknown" if !has_children => {
            Err(Fault::new(Class::Auth, super::UNKNOWN).hint(super::UNKNOWN_HINT))
        }
        _ => Err(incomplete("the reply is no directory")),
    }
}

/// Within the object of a directory's entries.
fn is_child(path: &[String]) -> bool {
    path.get(1).is_some_and(|key| key == "children")
}

/// Whole seconds since 1970.
fn seconds(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Number(n) => i64::try_from(*n).ok(),
        Value::Real(n) => format!("{:.0}", n.floor()).parse().ok(),
        _ => None,
    }
}
