//! Which files of a crate use each other in a circle, so that none of them can be read, or moved, without the
//! others.
//!
//! What a file uses are the names that it imports or writes as paths, followed through re-exports to the
//! files that define them. The root of a crate does not count, since it puts the others together, nor do
//! tests and what stands in macros.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::{
    Attribute, Item, ItemMod, ItemUse, UseTree, Visibility,
    visit::{self, Visit},
};

use crate::{Failure, files};

/// How many files of a crate are part of circles. The numbers may only shrink.
const KNOWN: [(&str, usize); 5] =
    [("bench", 2), ("delivery", 3), ("entitlements", 2), ("mcp", 2), ("storage", 4)];

/// The segments of a path from the root of its crate.
type Module = Vec<String>;

/// Names every circle that is not known.
pub fn check(errors: &mut Vec<String>) -> Result<(), Failure> {
    let mut crates: Vec<_> =
        fs::read_dir(files::root().join("crates"))?.flatten().map(|e| e.path()).collect();
    crates.sort();
    for path in crates {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let read = Crate::read(&path.join("src"))?;
        let circles = read.circles();
        let known = KNOWN.iter().find(|(known, _)| *known == name).map_or(0, |(_, files)| *files);
        let found: usize = circles.iter().map(Vec::len).sum();
        if found > known {
            for circle in circles {
                errors.push(format!("{name}: these files use each other in a circle: {}", circle.join(", ")));
            }
        } else if found < known {
            errors.push(format!(
                "xtask/src/circles.rs: only {found} files of {name} are in circles now; say so"
            ));
        }
    }
    Ok(())
}

/// The files of a crate by module, and what each makes of names.
#[derive(Default)]
struct Crate {
    files: BTreeMap<Module, File>,
}

#[derive(Default)]
struct File {
    name: String,
    used: BTreeSet<Module>,
    /// What a name stands for that others find here.
    re_exported: BTreeMap<String, Module>,
}

impl Crate {
    fn read(source: &Path) -> Result<Self, Failure> {
        let mut read = Self::default();
        for path in files::rust_files()? {
            let Ok(name) = path.strip_prefix(source) else { continue };
            let mut module: Module =
                name.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
            if module.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
                module.pop();
            }
            let text = fs::read_to_string(&path)?;
            read.add(module, name.display().to_string(), &text)?;
        }
        Ok(read)
    }

    fn add(&mut self, module: Module, name: String, text: &str) -> Result<(), Failure> {
        let parsed = syn::parse_file(text)?;
        let mut reader = Reader {
            module: module.clone(),
            imported: BTreeMap::new(),
            file: File { name, ..File::default() },
        };
        // Names are imported for all of a file, wherever they stand in it.
        for item in &parsed.items {
            if let Item::Use(item) = item {
                reader.take_use(item);
            }
        }
        reader.visit_file(&parsed);
        self.files.insert(module, reader.file);
        Ok(())
    }

    /// The file that defines what is at a path.
    fn defining(&self, path: &[String], followed: usize) -> Option<&Module> {
        let length = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))?;
        let (module, file) = self.files.get_key_value(&path[..length])?;
        match path.get(length).and_then(|name| file.re_exported.get(name)) {
            Some(target) if followed < 8 => {
                self.defining(&[target.as_slice(), &path[length + 1..]].concat(), followed + 1)
            }
            _ => Some(module),
        }
    }

    fn used_by(&self, module: &Module) -> BTreeSet<&Module> {
        let used = self.files[module].used.iter().filter_map(|path| self.defining(path, 0));
        used.filter(|used| *used != module && !used.is_empty()).collect()
    }

    /// Files that reach each other, by name.
    fn circles(&self) -> Vec<Vec<&str>> {
        let reached: BTreeMap<&Module, BTreeSet<&Module>> = self
            .files
            .keys()
            .filter(|module| !module.is_empty())
            .map(|from| (from, self.reached(from)))
            .collect();
        let mut circles = BTreeSet::new();
        for (module, all) in &reached {
            let circle: Vec<&str> = all
                .iter()
                .filter(|other| reached[*other].contains(module))
                .map(|other| self.files[*other].name.as_str())
                .collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// What a file uses, what that uses, and so on.
    fn reached<'a>(&'a self, from: &'a Module) -> BTreeSet<&'a Module> {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            next.extend(self.used_by(module).into_iter().filter(|used| reached.insert(*used)));
        }
        reached
    }
}

/// Reads one file.
struct Reader {
    /// Where the reading is; inside the file, modules may lie in each other.
    module: Module,
    imported: BTreeMap<String, Module>,
    file: File,
}

impl Reader {
    /// A path from the root of the crate; none if it leads to another crate.
    fn absolute(&self, path: &[String]) -> Option<Module> {
        let mut module = self.module.clone();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate") => return Some(path[1..].to_vec()),
            Some("self") => rest = &path[1..],
            Some("super") => {}
            Some(first) => {
                return self.imported.get(first).map(|target| [target.as_slice(), &path[1..]].concat());
            }
            None => return None,
        }
        while rest.first().is_some_and(|first| first == "super") {
            module.pop();
            rest = &rest[1..];
        }
        Some([module.as_slice(), rest].concat())
    }

    fn take_use(&mut self, item: &ItemUse) {
        let mut leaves = Vec::new();
        gather(&item.tree, &mut Vec::new(), &mut leaves);
        for (path, name) in leaves {
            let own_child = [self.module.as_slice(), &path].concat();
            let is_public = !matches!(item.vis, Visibility::Inherited);
            match self.absolute(&path) {
                Some(target) if is_public => drop(self.file.re_exported.insert(name, target)),
                Some(target) => {
                    self.imported.insert(name, target.clone());
                    self.file.used.insert(target);
                }
                // A module below, or another crate; nothing is found of the latter.
                None if is_public => drop(self.file.re_exported.insert(name, own_child)),
                None => {
                    self.file.used.insert(own_child);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.attrs.iter().any(is_for_tests) || item.content.is_none() {
            return;
        }
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            let below = [self.module.as_slice(), &segments].concat();
            // What leads to no file of the crate ends at its root, which does not count, or at this file.
            self.file.used.insert(self.absolute(&segments).unwrap_or(below));
        }
        visit::visit_path(self, path);
    }
}

/// The paths of a tree of imports, each with the name that it has afterwards.
fn gather(tree: &UseTree, before: &mut Module, leaves: &mut Vec<(Module, String)>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            gather(&path.tree, before, leaves);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            leaves.push((before.clone(), before.last().cloned().unwrap_or_default()));
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            leaves.push(([before.as_slice(), std::slice::from_ref(&name)].concat(), name));
        }
        UseTree::Rename(rename) => {
            let path = [before.as_slice(), &[rename.ident.to_string()]].concat();
            leaves.push((path, rename.rename.to_string()));
        }
        UseTree::Glob(_) => leaves.push((before.clone(), "*".to_owned())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| gather(tree, before, leaves)),
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let mut all = Crate::default();
        for (name, text) in files {
            let module = name.split('/').filter(|part| *part != "mod" && *part != "lib").map(str::to_owned);
            all.add(module.collect(), (*name).to_owned(), text).expect("Rust");
        }
        all.circles().into_iter().map(|circle| circle.into_iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn a_circle_is_found_however_it_is_written() {
        let b = "use crate::a::A; pub struct B(A);";
        for a in [
            "use crate::b::B; pub struct A(Box<B>);",
            "use crate::{b::{self}}; pub struct A(Box<b::B>);",
            "pub struct A(Box<super::b::B>);",
            "pub fn a() { let _ = crate::b::B; }",
            "use crate::b as other; pub struct A(Box<other::B>);",
        ] {
            assert_eq!(circles(&[("a", a), ("b", b)]), [["a", "b"]], "{a}");
        }
    }

    #[test]
    fn what_is_used_through_a_door_is_used_where_it_is_defined() {
        let wing = ("wing/mod", "mod inner; mod other; pub use inner::Inner;");
        let other = ("wing/other", "pub struct Other;");
        // By its door, a wing is used as the file behind it.
        let inner = ("wing/inner", "use crate::user::User; pub struct Inner(User);");
        let user = ("user", "use crate::wing::Inner; pub struct User(Box<Inner>);");
        assert_eq!(circles(&[wing, other, inner, user]), [["user", "wing/inner"]]);
        // The door itself leads nowhere.
        let inner = ("wing/inner", "pub struct Inner;");
        let user = ("user", "use crate::wing::Inner; pub struct User(Inner);");
        let other = ("wing/other", "use crate::user::User; pub struct Other(User);");
        assert!(circles(&[wing, other, inner, user]).is_empty());
    }

    #[test]
    fn tests_and_the_root_do_not_count() {
        let a = ("a", "use crate::App; #[cfg(test)] mod tests { use crate::b::B; }");
        let b = ("b", "use crate::a::A;");
        let root = ("lib", "mod a; mod b; use crate::b::B; pub struct App(B);");
        assert!(circles(&[a, b, root]).is_empty());
    }
}
