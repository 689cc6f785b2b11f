//! What destinations share whose service knows files and folders by ids of its own: the way to the folder, which file has which
//! name, and what is done with a file by its name. A service is a [`Tree`]; the functions here are what its [`Api`] does.
//!
//! Names need not be unique: of several files of one name the newest is read, an upload replaces it and removes the others.

use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::text;
use crate::dest::objects::ids::Ids;
use crate::dest::objects::{Base, Each};
use crate::dest::{GetFacts, Listed, RemoteFile, Sink, Span};
use crate::net::checks;
use crate::net::service::Verb;
use crate::net::url::DestUrl;

/// Files of one name of which more is wanted than that they are there.
const SAME_MAX: usize = 100;

/// A file or a folder, and its id.
pub(in crate::dest) struct Found {
    pub(in crate::dest) id: String,
    /// When it was made, so written that the order of texts is that of times; empty where names are unique.
    pub(in crate::dest) created: String,
    pub(in crate::dest) file: RemoteFile,
}

#[cfg(feature = "dest-box")]
impl Found {
    /// A file of which no more is known.
    pub(in crate::dest) fn of(id: String, name: String) -> Found {
        Found {
            id,
            created: String::new(),
            file: RemoteFile {
                name,
                ..RemoteFile::default()
            },
        }
    }
}

/// What is searched in a folder, and what for.
pub(in crate::dest) struct Search<'a> {
    pub(in crate::dest) verb: Verb,
    /// Id of the folder.
    pub(in crate::dest) parent: &'a str,
    /// `None`: all that is there.
    pub(in crate::dest) name: Option<&'a str>,
    /// Folders are meant, not files.
    pub(in crate::dest) is_folder: bool,
}

/// Where finds go; false ends the search.
pub(in crate::dest) type EachFound<'a> = dyn FnMut(Found) -> Done<bool> + 'a;

/// What a service does with ids.
pub(in crate::dest) trait Tree {
    fn folder(&mut self) -> &mut Folder;

    /// Id of the folder in which the way to that of the URL begins.
    fn root(&self, base: &mut Base) -> Done<String>;

    /// Hands on what is searched. All files of a folder may be handed on with the folders in it.
    fn search(&self, base: &mut Base, search: &Search<'_>, each: &mut EachFound<'_>) -> Done<()>;

    /// Makes a folder in another, also where an earlier attempt has made it: its id.
    fn make_folder(&mut self, base: &mut Base, parent: &str, name: &str) -> Done<String>;

    /// Whether [`Tree::search`] hands on the newest file of a name first.
    fn newest_first(&self) -> bool {
        true
    }

    /// The service cannot be asked for one name, so that a search for it lists the folder: one that the last listing of the whole
    /// folder had not, and that was not stored since, is not there.
    fn relies_on_lists(&self) -> bool {
        false
    }

    /// What the file of this id holds, as [`Api::fetch`].
    fn read(
        &mut self,
        base: &mut Base,
        id: &str,
        of: (&str, Span),
        into: &mut dyn Sink,
    ) -> Done<GetFacts>;

    /// Removes the file of this id.
    fn remove(&mut self, base: &mut Base, id: &str) -> Done<()>;
}

/// The folder of a destination, and what is known of it.
#[derive(Default)]
pub(in crate::dest) struct Folder {
    /// Names of the folders on the way there, and its id once it was found.
    levels: Vec<String>,
    id: Option<String>,
    ids: Ids,
    /// All files of the folder are among the ids; and whether that is so again once the upload on its way has come to its end.
    is_whole: bool,
    was_whole: bool,
    /// The name that the service was last asked for, and its files.
    looked: Option<(String, Vec<Found>)>,
}

impl Folder {
    /// The host of a URL is the first level.
    pub(in crate::dest) fn of(url: &DestUrl) -> Result<Folder> {
        Folder::at(&format!("{}/{}", url.host, url.path))
    }

    pub(in crate::dest) fn at(path: &str) -> Result<Folder> {
        checks::without_dots(path)?;
        let levels = path.split('/').filter(|level| !level.is_empty());
        Ok(Folder {
            levels: levels.map(str::to_owned).collect(),
            ..Folder::default()
        })
    }

    pub(in crate::dest) fn path(&self) -> String {
        self.levels.join("/")
    }

    /// Its id, once it was found.
    #[cfg(any(
        feature = "dest-box",
        feature = "dest-drimecloud",
        feature = "dest-pcloud"
    ))]
    pub(in crate::dest) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// The id of the file of a name, as far as is known.
    #[cfg(any(feature = "dest-box", feature = "dest-pcloud"))]
    pub(in crate::dest) fn known(&self, name: &str) -> Option<String> {
        self.ids.get(name)
    }

    /// Takes up that this is the file of a name from now on.
    pub(in crate::dest) fn stored(&mut self, name: &str, id: &str) {
        self.ids.forget(name);
        self.ids.add(name, id);
        self.is_whole |= self.was_whole;
    }

    /// Takes up that files come or go of which it is not known yet whether that succeeds.
    fn in_doubt(&mut self) {
        self.was_whole = std::mem::take(&mut self.is_whole);
    }

    /// The id of the only file of this name, as far as is known; `None` within: it is one of several, or no id is known.
    #[cfg(feature = "dest-filen")]
    pub(in crate::dest) fn only(&self, name: &str) -> Option<Option<String>> {
        self.ids.has(name).then(|| self.ids.get(name))
    }
}

impl Folder {
    /// A folder that is gone is looked for again.
    pub(in crate::dest) fn noting<T>(&mut self, done: Done<T>) -> Done<T> {
        let gone = |fault: &Fault| fault.class == Class::FolderMissing;
        if done.as_ref().is_err_and(gone) {
            self.id = None;
        }
        done
    }
}

fn not_found() -> Fault {
    Fault::new(Class::NotFound, "not found")
}

/// The fault of a level that is not there, as the service tells it.
fn missing(base: &Base) -> Fault {
    let mut words = base.shape.dialect.words.iter();
    let word = words.find(|word| word.class == Class::FolderMissing);
    let (text, hint) = word.map_or(("the folder does not exist", ""), |w| (w.text, w.hint));
    Fault::new(Class::FolderMissing, text.trim_start_matches('=')).hint(hint)
}

/// Files or folders of a name, the newest first, [`SAME_MAX`] at most.
fn named(
    tree: &dyn Tree,
    base: &mut Base,
    verb: Verb,
    (parent, name): (&str, &str),
    is_folder: bool,
) -> Done<Vec<Found>> {
    let (name, mut all) = (Some(name), Vec::new());
    let search = Search {
        verb,
        parent,
        name,
        is_folder,
    };
    tree.search(base, &search, &mut |one| {
        all.push(one);
        Ok(all.len() < SAME_MAX)
    })?;
    all.sort_by(|a: &Found, b| b.created.cmp(&a.created));
    Ok(all)
}

/// The id of the folder of this name in another, if there is one.
fn step(
    tree: &dyn Tree,
    base: &mut Base,
    verb: Verb,
    (parent, name): (&str, &str),
) -> Done<Option<String>> {
    let mut all = named(tree, base, verb, (parent, name), true)?;
    if all.len() > 1 {
        let shown = text::safe_cut(name.as_bytes(), 60);
        let what = format!("{} folders are called '{shown}' side by side", all.len());
        return Err(Fault::new(Class::Unsupported, what).hint("rename all but one of them"));
    }
    Ok(all.pop().map(|one| one.id))
}

/// The id of the folder.
pub(in crate::dest) fn parent(tree: &mut dyn Tree, base: &mut Base, verb: Verb) -> Done<String> {
    if let Some(id) = &tree.folder().id {
        return Ok(id.clone());
    }
    let mut at = tree.root(base)?;
    for level in tree.folder().levels.clone() {
        let next = step(tree, base, verb, (&at, &level))?;
        at = next.ok_or_else(|| missing(base))?;
    }
    tree.folder().id = Some(at.clone());
    Ok(at)
}

/// See [`Api::make`]: each level is made that is not there.
pub(in crate::dest) fn make(tree: &mut dyn Tree, base: &mut Base) -> Done<()> {
    let mut at = tree.root(base)?;
    for level in tree.folder().levels.clone() {
        at = match step(tree, base, Verb::MakeFolder, (&at, &level))? {
            Some(id) => id,
            None => tree.make_folder(base, &at, &level)?,
        };
    }
    (tree.folder().id, tree.folder().ids) = (Some(at), Ids::default());
    Ok(())
}

/// See [`Api::list`]: of several files of one name the newest.
pub(in crate::dest) fn list(tree: &mut dyn Tree, base: &mut Base, each: &mut Each<'_>) -> Done<()> {
    let parent = parent(tree, base, Verb::List)?;
    let search = Search {
        verb: Verb::List,
        parent: &parent,
        name: None,
        is_folder: false,
    };
    let (mut ids, mut again, mut twice) = (Ids::default(), 0, Vec::new());
    let sorted = tree.newest_first();
    let searched = tree.search(base, &search, &mut |one| {
        if one.file.is_folder || ids.add(&one.file.name, &one.id) {
            each(Listed::Entry(one.file))?;
        } else {
            again += 1;
            if !sorted && twice.len() < SAME_MAX {
                twice.push((one.file.name, None::<Found>));
            }
        }
        Ok(true)
    });
    tree.folder().noting(searched)?;
    if !twice.is_empty() {
        newest(tree, base, &search, twice, each)?;
    }
    (tree.folder().ids, tree.folder().is_whole) = (ids, true);
    if again > 0 {
        let files = text::count(again, "file");
        base.notices
            .push(format!("{files} left aside with the name of a newer one"));
    }
    Ok(())
}

/// Lists once more: of these names the newest file.
fn newest(
    tree: &dyn Tree,
    base: &mut Base,
    search: &Search<'_>,
    mut twice: Vec<(String, Option<Found>)>,
    each: &mut Each<'_>,
) -> Done<()> {
    twice.sort_by(|a, b| a.0.cmp(&b.0));
    twice.dedup_by(|a, b| a.0 == b.0);
    each(Listed::Restart)?;
    tree.search(base, search, &mut |one| {
        let at = twice.binary_search_by(|(name, _)| name.as_str().cmp(&one.file.name));
        match at.ok().filter(|_| !one.file.is_folder) {
            None => each(Listed::Entry(one.file))?,
            Some(at) => {
                let best = &mut twice[at].1;
                if best.as_ref().is_none_or(|best| best.created < one.created) {
                    *best = Some(one);
                }
            }
        }
        Ok(true)
    })?;
    let found = twice.into_iter().filter_map(|(_, best)| best);
    found
        .map(|one| Listed::Entry(one.file))
        .try_for_each(&mut *each)
}

/// The files of a name, as the service has them now.
fn files(tree: &mut dyn Tree, base: &mut Base, verb: Verb, name: &str) -> Done<Vec<Found>> {
    #[cfg(feature = "dest-drimecloud")]
    if tree.relies_on_lists() && tree.folder().is_whole && tree.folder().ids.lacks(name) {
        return Ok(Vec::new());
    }
    let parent = parent(tree, base, verb)?;
    let found = named(tree, base, verb, (&parent, name), false);
    let all = tree.folder().noting(found)?;
    let ids = &mut tree.folder().ids;
    ids.forget(name);
    for one in &all {
        ids.add(name, &one.id);
    }
    Ok(all)
}

/// See [`Api::look`].
pub(in crate::dest) fn look(tree: &mut dyn Tree, base: &mut Base, name: &str) -> Done<RemoteFile> {
    let all = files(tree, base, Verb::Look, name)?;
    let first = all.first().map(|one| RemoteFile {
        name: one.file.name.clone(),
        ..one.file
    });
    tree.folder().looked = Some((name.to_owned(), all));
    first.ok_or_else(not_found)
}

/// See [`Api::fetch`].
pub(in crate::dest) fn fetch(
    tree: &mut dyn Tree,
    base: &mut Base,
    of: (&str, Span),
    into: &mut dyn Sink,
) -> Done<GetFacts> {
    if let Some(id) = tree.folder().ids.get(of.0) {
        match tree.read(base, &id, of, into) {
            // It has perhaps been replaced by another of its name.
            Err(fault) if fault.class == Class::NotFound => {}
            done => return done,
        }
    }
    let all = files(tree, base, Verb::Get, of.0)?;
    let newest = all.first().ok_or_else(not_found)?;
    let id = newest.id.clone();
    tree.read(base, &id, of, into)
}

/// Before an upload: the id of the file that it replaces, after others of its name were removed. `is_new`: it must replace none.
pub(in crate::dest) fn replaced(
    tree: &mut dyn Tree,
    base: &mut Base,
    (name, is_new): (&str, bool),
) -> Done<Option<String>> {
    let mut all = match tree.folder().looked.take() {
        Some((looked, all)) if looked == name => all,
        _ => files(tree, base, Verb::Put, name)?,
    };
    tree.folder().in_doubt();
    if is_new && !all.is_empty() {
        return Err(Fault::new(Class::Exists, "a file of this name is there"));
    }
    for other in all.drain(1.min(all.len())..) {
        tree.remove(base, &other.id)?;
    }
    Ok(all.pop().map(|newest| newest.id))
}

/// See [`Api::delete`]: all files of the name.
pub(in crate::dest) fn delete(tree: &mut dyn Tree, base: &mut Base, name: &str) -> Done<()> {
    tree.folder().looked = None;
    let known = tree.folder().ids.get(name);
    if let Some(id) = &known {
        match tree.remove(base, id) {
            Err(fault) if fault.class == Class::NotFound => {}
            done => {
                tree.folder().ids.forget(name);
                tree.folder().is_whole &= done.is_ok();
                return done;
            }
        }
    }
    let all = files(tree, base, Verb::Delete, name)?;
    tree.folder().ids.forget(name);
    let done = all.iter().try_for_each(|one| tree.remove(base, &one.id));
    tree.folder().is_whole &= done.is_ok();
    done
}
