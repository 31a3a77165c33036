//! Reads Rust just well enough to know the words of a file's code, the paths it uses and the tests it has.

/// The code of a file without its comments, string literals and lifetimes, and without its unit tests.
///
/// Unit tests are what follows `#[cfg(test)] mod tests {`: they stand at the end of a file.
pub(crate) fn code_of(text: &str) -> String {
    let code = without_text(text);
    match code.find("#[cfg(test)]\nmod tests {") {
        Some(at) => code[..at].to_owned(),
        None => code,
    }
}

fn without_text(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = length_of_text(rest, code.chars().next_back());
        if skipped > 0 {
            // The words on either side stay separate.
            code.push(' ');
            rest = &rest[skipped..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// The length of the comment, string, character or lifetime that `rest` begins with; 0 if it begins with none.
fn length_of_text(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |at| at + 2);
    }
    let in_a_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let Some(length) = raw_text(rest).filter(|_| !in_a_word) {
        return length;
    }
    match rest.as_bytes()[0] {
        b'"' => quoted(rest, '"'),
        b'\'' => character_or_lifetime(rest),
        _ => 0,
    }
}

fn raw_text(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    let body = inner[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let opening = rest.len() - body.len();
    Some(body.find(&end).map_or(rest.len(), |at| opening + at + end.len()))
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn character_or_lifetime(rest: &str) -> usize {
    let mut inner = rest.chars().skip(1);
    match (inner.next(), inner.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, '\''),
        _ => 1 + rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len() - 1),
    }
}

/// Every path in `code` that begins with `crate` or `super`, as its segments from the root of the crate. `module` is
/// the module that the code belongs to.
pub(crate) fn paths_in(code: &str, module: &[&str]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let words = tokens(code);
    let mut at = 0;
    while at < words.len() {
        let starts = at == 0 || words[at - 1] != "::";
        let from: Option<Vec<String>> = match words[at] {
            "crate" if starts => Some(Vec::new()),
            "super" if starts => module.split_last().map(|(_, above)| above.iter().map(ToString::to_string).collect()),
            _ => None,
        };
        at += 1;
        if let (Some(from), Some(&"::")) = (from, words.get(at)) {
            tree(&words, &mut at, from, &mut paths);
        }
    }
    paths.retain(|path| !path.is_empty());
    paths
}

/// Reads what follows a path: `::name`, `::{…}` and so on, with a path for each branch.
fn tree(words: &[&str], at: &mut usize, mut path: Vec<String>, paths: &mut Vec<Vec<String>>) {
    while words.get(*at) == Some(&"::") {
        match words.get(*at + 1) {
            Some(&"super") => {
                path.pop();
            }
            Some(&"{") => {
                *at += 2;
                branches(words, at, &path, paths);
                return;
            }
            Some(word) if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => path.push((*word).to_owned()),
            Some(&"*") => {
                *at += 2;
                break;
            }
            _ => {
                *at += 1;
                break;
            }
        }
        *at += 2;
    }
    paths.push(path);
}

fn branches(words: &[&str], at: &mut usize, path: &[String], paths: &mut Vec<Vec<String>>) {
    while let Some(word) = words.get(*at) {
        *at += 1;
        match *word {
            "}" => return,
            "," => {}
            "self" | "*" => paths.push(path.to_vec()),
            "as" => *at += 1,
            word => {
                let branch = path.iter().cloned().chain([word.to_owned()]).collect();
                tree(words, at, branch, paths);
            }
        }
    }
}

/// The paths of the `use` tree that begins at `words[from]`, each with the name that it brings into scope.
pub(super) fn branches_of(words: &[&str], from: usize) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    use_tree(words, &mut from.clone(), &[], &mut found);
    found
}

fn use_tree(words: &[&str], at: &mut usize, prefix: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let mut path = prefix.to_vec();
    while let Some(word) = words.get(*at).copied() {
        *at += 1;
        match word {
            "::" => {}
            "{" => {
                while words.get(*at).is_some_and(|word| *word != "}") {
                    use_tree(words, at, &path, found);
                    if words.get(*at) == Some(&",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            "*" => {
                found.push((path, "*".to_owned()));
                return;
            }
            "," | "}" | ";" => {
                *at -= 1;
                break;
            }
            "as" => {
                found.push((path, words.get(*at).copied().unwrap_or_default().to_owned()));
                *at += 1;
                return;
            }
            "self" if !path.is_empty() => {}
            word => path.push(word.to_owned()),
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    found.push((path, name));
}

/// The names of the tests in a file: of the function after each `#[test]` and `#[tokio::test…]`, also inside
/// `proptest!`, and those that `contract_tests!` lists.
pub(crate) fn tests_in(text: &str) -> Vec<String> {
    let code = without_text(text);
    let words = tokens(&code);
    let mut names = Vec::new();
    let mut is_test = false;
    for (at, word) in words.iter().enumerate() {
        match &words[at + 1..] {
            ["[", "test", "]", ..] | ["[", "tokio", "::", "test", "]" | "(", ..] if *word == "#" => is_test = true,
            [name, ..] if *word == "fn" && std::mem::take(&mut is_test) => names.push((*name).to_owned()),
            ["!", "(", listed @ ..] if *word == "contract_tests" => names.extend(contract_cases(listed)),
            _ => {}
        }
    }
    names
}

/// The cases in the arguments of `contract_tests!`: every word up to the `)` but the keyword `durable`.
fn contract_cases(words: &[&str]) -> Vec<String> {
    let listed = words.iter().take_while(|word| **word != ")");
    listed.filter(|word| !matches!(**word, "," | ";" | ":" | "durable")).map(ToString::to_string).collect()
}

/// Splits code into words, `::`, and every other character by itself.
pub(super) fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(code: &str, module: &[&str]) -> Vec<String> {
        paths_in(&code_of(code), module).iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn every_way_to_write_a_path_is_read() {
        let found = paths("use crate::{a::b, c::{self, d::*}, e as f}; fn g(x: crate::h::I<crate::j>) {}", &["m"]);
        assert_eq!(found, ["a::b", "c", "c::d", "e", "h::I", "j"]);
    }

    #[test]
    fn super_is_resolved_from_the_module_of_the_code() {
        assert_eq!(paths("use super::b;", &["m"]), ["b"]);
        assert_eq!(paths("use super::b;", &["m", "n"]), ["m::b"]);
        assert_eq!(paths("use super::super::b::C;", &["m", "n"]), ["b::C"]);
    }

    #[test]
    fn only_functions_that_cargo_runs_as_tests_are_found() {
        let text = r##"
            fn helper() {}
            #[test] fn plain() { fn inner() {} }
            fn after() {}
            #[tokio::test(flavor = "multi_thread")]
            // #[test]
            #[ignore = "needs fn x()"]
            async fn with_more() {}
            proptest! { #[test] fn property(x in 0..9) {} fn of_it(x in 0..9) {} }
            // #[test] fn commented() {}
            const T: &str = "#[test] fn text() {}";
            #[cfg(test)] fn configured() {}
            #[tested] fn attributed() {}
            #[cfg(test)]
            mod tests { #[tokio::test] async fn unit() {} }
            "##;
        assert_eq!(tests_in(text), ["plain", "with_more", "property", "unit"]);
    }

    #[test]
    fn the_cases_of_a_contract_are_tests() {
        let text = "contract_tests!(
                first, // a comment
                second;
                durable: third, fourth
            );
            fn first<B: Backend>() {}
            fn helper<B: Backend>() {}
            macro_rules! contract_tests { ($($case:ident),+) => {} }
            use contract_tests;";
        assert_eq!(tests_in(text), ["first", "second", "third", "fourth"]);
        assert_eq!(tests_in("contract_tests!(only);"), ["only"]);
    }

    #[test]
    fn comments_string_literals_and_unit_tests_are_not_code() {
        let text = r####"
            // use crate::a;
            /* crate::b */
            const C: &'static str = "crate::c \" crate::d";
            const E: &str = r#"crate::e " crate::f"#;
            const G: char = '"';
            const H: char = '\'';
            use crate::i;
            "####;
        assert_eq!(paths(text, &["m"]), ["i"]);
        assert_eq!(paths("use crate::a;\n#[cfg(test)]\nmod tests { use crate::b; }", &["m"]), ["a"]);
    }
}
