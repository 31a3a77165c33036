//! Finds the items of a file: functions, types, constants, and the modules and names that it imports.

use super::scan::{branches_of, code_of, tokens};
use super::{module_of, read, rust_files_under};

/// A file under `src` whose code is not a test.
pub(super) struct SourceFile {
    pub(super) path: String,
    /// Its module path, such as `watch`, `roster`.
    pub(super) module: Vec<String>,
    pub(super) code: String,
}

/// An item that a file defines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// `fn`, `struct`, `enum`, `trait`, `type`, `const`, `static` or `mod`.
    pub(super) kind: String,
    pub(super) name: String,
    /// Declared `pub`, without a restriction.
    pub(super) is_public: bool,
    /// Stands in an `impl` or a `trait`.
    pub(super) is_associated: bool,
    /// The position of its name among the tokens of the file.
    pub(super) at: usize,
}

/// A path that a `use` declaration brings into a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// The name it has in the file; `*` for all names in `path`.
    pub(super) name: String,
    /// Its segments as written, such as `super`, `rows`, `Row`.
    pub(super) path: Vec<String>,
    /// Re-exported to other modules.
    pub(super) is_public: bool,
}

impl SourceFile {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let module = module_of(path).into_iter().map(str::to_owned).collect();
        Self { path: path.to_owned(), module, code: code_of(text) }
    }
}

/// Every file under `src` except those that hold only tests.
pub(super) fn source_files() -> Vec<SourceFile> {
    let files = rust_files_under("src");
    files.iter().filter(|path| !is_test_file(path)).map(|path| SourceFile::new(path, &read(path))).collect()
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// What a pair of brackets encloses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Items: a `mod`, or the input of a macro that stands where an item may.
    Items,
    /// The items of an `impl` or `trait`.
    Associated,
    Other,
}

/// Every item in `code` outside of function bodies.
pub(super) fn items_in(code: &str) -> Vec<Item> {
    const KINDS: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "const", "static", "mod"];
    let words = tokens(code);
    let mut items = Vec::new();
    let mut scopes = vec![Scope::Items];
    // The keyword that began the item whose body has not opened yet, and the position of its `pub`.
    let (mut header, mut visible): (Option<&str>, Option<usize>) = (None, None);
    for (at, word) in words.iter().copied().enumerate() {
        let scope = scopes.last().copied().unwrap_or(Scope::Other);
        match word {
            "{" | "(" | "[" => scopes.push(opened(scope, header, &words[..at], word)),
            "}" | ")" | "]" => drop(scopes.pop()),
            _ if scope == Scope::Other => {}
            "pub" if header.is_none() => visible = Some(at),
            "impl" | "macro_rules" | "use" if header.is_none() => header = Some(word),
            _ if KINDS.contains(&word) && header.is_none() && is_name(words.get(at + 1)) => {
                header = Some(word);
                let next = words[at + 1];
                // In `const fn` and `static mut` the name comes later.
                if next == "fn" || next == "mut" {
                    header = None;
                    continue;
                }
                let is_public = visible.is_some_and(|visible| words[visible + 1] != "(");
                let is_associated = scope == Scope::Associated;
                items.push(Item { kind: word.into(), name: next.into(), is_public, is_associated, at: at + 1 });
            }
            // `name!(Type, …)` at the level of items: a macro of the file that declares the type.
            _ if header.is_none() && at > 1 && words[at - 1] == "(" && words[at - 2] == "!" && is_type_name(word) => {
                let kind = "struct".to_owned();
                items.push(Item { kind, name: word.into(), is_public: true, is_associated: false, at });
            }
            _ => {}
        }
        let closed = scopes.last().is_some_and(|scope| *scope != Scope::Other);
        if closed && matches!(word, ";" | "}" | "{") {
            (header, visible) = (None, None);
        }
    }
    items
}

/// The scope of a bracket that opens after the words `before`.
fn opened(around: Scope, header: Option<&str>, before: &[&str], bracket: &str) -> Scope {
    if around == Scope::Other {
        return Scope::Other;
    }
    match header {
        Some("mod") if bracket == "{" => Scope::Items,
        Some("impl" | "trait") if bracket == "{" => Scope::Associated,
        None if matches!(before, [.., _, "!"]) => Scope::Items,
        _ => Scope::Other,
    }
}

fn is_name(word: Option<&&str>) -> bool {
    word.is_some_and(|word| word.starts_with(|c: char| c.is_alphabetic()))
}

fn is_type_name(word: &str) -> bool {
    word.starts_with(char::is_uppercase)
}

/// Every import in `code`.
pub(super) fn imports_in(code: &str) -> Vec<Import> {
    let words = tokens(code);
    let mut imports = Vec::new();
    // `use<…>` names the lifetimes and types that an opaque type captures.
    let is_import = |at: usize| words[at] == "use" && words.get(at + 1) != Some(&"<");
    for at in (0..words.len()).filter(|at| is_import(*at)) {
        let is_public = at > 0 && matches!(words[at - 1], "pub" | ")");
        for (path, name) in branches_of(&words, at + 1) {
            imports.push(Import { name, path, is_public });
        }
    }
    imports
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(code: &str) -> Vec<String> {
        items_in(&code_of(code)).into_iter().map(|item| format!("{} {}", item.kind, item.name)).collect()
    }

    #[test]
    fn every_kind_of_item_is_found_and_nothing_in_a_function_body() {
        let code = "pub const fn a<const N: usize>(x: impl Fn()) -> [u8; { 1 + 2 }] { struct Inner; const I: u8 = 1; }
            pub struct B { c: fn() } struct T(u8); enum D { E } trait F { fn g(&self); type H; const J: u8; }
            impl F for B { fn g(&self) { let k = || { 1 }; } } type L = B; pub(crate) static M: u8 = { 1 };
            mod n { pub fn o() {} } name!(P, 1); table! { pub enum Q {} }";
        assert_eq!(
            listed(code),
            [
                "fn a", "struct B", "struct T", "enum D", "trait F", "fn g", "type H", "const J", "fn g", "type L",
                "static M", "mod n", "fn o", "struct P", "enum Q"
            ]
        );
    }

    #[test]
    fn only_unrestricted_visibility_is_public() {
        let public = |code: &str| items_in(code)[0].is_public;
        assert!(public("pub async fn f() {}"));
        assert!(!public("pub(crate) struct F;"));
        assert!(!public("fn f() {}"));
        assert!(!items_in("pub struct A(u8); struct B;")[1].is_public);
    }

    #[test]
    fn imports_are_read_with_their_names() {
        assert!(
            imports_in("fn f<'a>(x: &'a str) -> impl Iterator<Item = u8> + use<> { x.bytes().collect() }").is_empty()
        );
        let found = imports_in("pub use a::{b::C, d as E, f::{self, *}}; use g;");
        let listed: Vec<String> =
            found.iter().map(|one| format!("{}={}{}", one.name, one.path.join("::"), one.is_public)).collect();
        assert_eq!(listed, ["C=a::b::Ctrue", "E=a::dtrue", "f=a::ftrue", "*=a::ftrue", "g=gfalse"]);
    }
}
