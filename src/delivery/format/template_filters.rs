//! The engine's filters, bounded, and careful with text that is escaped already.
//!
//! What a template captures, with `{% set %}` for example, is the inside of a JSON string already, and is printed as it is.
//! A filter that took it apart could leave half an escape or a bare quote. So filters get it as it was before, and what
//! they return is escaped when it is printed.

use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, filters};

use super::template_bounds::{charge, too_much, weight};

/// Filters that leave a text whole, apart from the white space around it.
const WHOLE: [&str; 8] = ["d", "default", "e", "escape", "indent", "string", "tojson", "trim"];

/// The greatest number in a filter's arguments: a width, an indent, a count.
const MAX_NUMBER: u64 = 1000;

/// What a filter may make of its arguments.
const MAX_RESULT: u64 = 1 << 20;

/// Replaces the engine's filters by those that are bounded.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    for (name, original) in originals() {
        let filter = move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
            bounded(name, &original, state, args.into_values())
        };
        environment.add_filter(name, filter);
    }
}

fn bounded(name: &str, original: &Value, state: &mut State<'_, '_>, mut args: Vec<Value>) -> Result<Value, Error> {
    charge(state, cost(name, &args)?)?;
    let escaped = args.first().is_some_and(|first| first.is_safe() && first.as_str().is_some());
    // `trim` with characters of its own may cut an escape.
    let whole = WHOLE.contains(&name) && (name != "trim" || args.len() == 1);
    if !escaped || whole {
        return original.call(state, &args);
    }
    for arg in args.iter_mut().filter(|arg| arg.is_safe()) {
        if let Some(text) = arg.as_str() {
            *arg = Value::from(unescaped(text).unwrap_or_else(|| text.to_owned()));
        }
    }
    let result = original.call(state, &args)?;
    Ok(match result.as_str() {
        Some(text) if result.is_safe() => Value::from(text.to_owned()),
        _ => result,
    })
}

/// Returns the text whose JSON string has this inside; `None` if it is no whole inside.
fn unescaped(text: &str) -> Option<String> {
    serde_json::from_str(&format!("\"{text}\"")).ok()
}

/// Returns what a filter may cost beside its arguments and its result, which are weighed anyway.
///
/// # Errors
/// If its result could be too large.
fn cost(name: &str, args: &[Value]) -> Result<u64, Error> {
    let of = |at: usize| args.get(at).map_or(Ok(0), weight);
    let length = |value: Option<&Value>| value.and_then(Value::len).unwrap_or_default() as u64;
    let others = || args.iter().skip(1).try_fold(0, |sum, arg| Ok::<_, Error>(sum + weight_within(arg)?));
    let product = match name {
        // Each hit may be replaced by the whole of the other text.
        "replace" => {
            let from = args.get(1).and_then(Value::as_str).map_or(1, |from| from.len().max(1) as u64);
            (of(0)? / from).saturating_mul(of(2)?)
        }
        "join" => length(args.first()).saturating_mul(of(1)?),
        "format" => return printf(args).map(|()| 0),
        "indent" | "tojson" | "batch" | "slice" | "round" => {
            return if args.iter().skip(1).all(is_small) { Ok(MAX_NUMBER) } else { Err(too_much()) };
        }
        // Each item is compared with the arguments.
        "select" | "reject" | "selectattr" | "rejectattr" | "map" => {
            return Ok(length(args.first()).saturating_mul(1 + others()?));
        }
        "sort" | "dictsort" | "groupby" | "unique" => return Ok(of(0)?.saturating_mul(8)),
        _ => return Ok(0),
    };
    if product > MAX_RESULT { Err(too_much()) } else { Ok(product) }
}

/// The weight of an argument, or of the arguments that have names.
fn weight_within(arg: &Value) -> Result<u64, Error> {
    if !arg.is_kwargs() {
        return weight(arg);
    }
    arg.try_iter()?.try_fold(0, |sum, name| Ok(sum + weight(&arg.get_item(&name)?)?))
}

/// Whether no number in an argument is large.
fn is_small(arg: &Value) -> bool {
    let small = |value: &Value| {
        value.kind() != ValueKind::Number || f64::try_from(value.clone()).is_ok_and(|it| it.abs() <= MAX_NUMBER as f64)
    };
    if !arg.is_kwargs() {
        return small(arg);
    }
    arg.try_iter().is_ok_and(|mut names| names.all(|name| arg.get_item(&name).is_ok_and(|value| small(&value))))
}

/// Checks a format in the manner of `printf`: no width is large or comes from an argument, and the arguments, each as often
/// as there are places, fit.
fn printf(args: &[Value]) -> Result<(), Error> {
    let Some(format) = args.first().and_then(Value::as_str) else { return Ok(()) };
    let largest = args.iter().skip(1).try_fold(0, |most, arg| Ok::<_, Error>(most.max(weight_within(arg)?)))?;
    let places = format.split('%').skip(1);
    let mut count: u64 = 0;
    for place in places {
        count += 1;
        let place = place.split_once(')').map_or(place, |(_, rest)| rest);
        let widths = place.split(|c: char| c.is_ascii_alphabetic()).next().unwrap_or_default();
        let large = |digits: &str| digits.len() > 3;
        if widths.contains('*') || widths.split(|c: char| !c.is_ascii_digit()).any(large) {
            return Err(too_much());
        }
    }
    if count.saturating_mul(largest.max(MAX_NUMBER)) > MAX_RESULT { Err(too_much()) } else { Ok(()) }
}

/// All filters of the engine but `safe`: a name marked as safe would not be escaped.
fn originals() -> [(&'static str, Value); 47] {
    [
        ("escape", Value::from_function(filters::escape)),
        ("e", Value::from_function(filters::escape)),
        ("lower", Value::from_function(filters::lower)),
        ("upper", Value::from_function(filters::upper)),
        ("title", Value::from_function(filters::title)),
        ("capitalize", Value::from_function(filters::capitalize)),
        ("replace", Value::from_function(filters::replace)),
        ("length", Value::from_function(filters::length)),
        ("count", Value::from_function(filters::length)),
        ("dictsort", Value::from_function(filters::dictsort)),
        ("items", Value::from_function(filters::items)),
        ("reverse", Value::from_function(filters::reverse)),
        ("trim", Value::from_function(filters::trim)),
        ("join", Value::from_function(filters::join)),
        ("split", Value::from_function(filters::split)),
        ("lines", Value::from_function(filters::lines)),
        ("default", Value::from_function(filters::default)),
        ("d", Value::from_function(filters::default)),
        ("round", Value::from_function(filters::round)),
        ("abs", Value::from_function(filters::abs)),
        ("int", Value::from_function(filters::int)),
        ("float", Value::from_function(filters::float)),
        ("attr", Value::from_function(filters::attr)),
        ("first", Value::from_function(filters::first)),
        ("last", Value::from_function(filters::last)),
        ("min", Value::from_function(filters::min)),
        ("max", Value::from_function(filters::max)),
        ("sort", Value::from_function(filters::sort)),
        ("list", Value::from_function(filters::list)),
        ("string", Value::from_function(filters::string)),
        ("bool", Value::from_function(filters::bool)),
        ("batch", Value::from_function(filters::batch)),
        ("slice", Value::from_function(filters::slice)),
        ("sum", Value::from_function(filters::sum)),
        ("indent", Value::from_function(filters::indent)),
        ("select", Value::from_function(filters::select)),
        ("reject", Value::from_function(filters::reject)),
        ("selectattr", Value::from_function(filters::selectattr)),
        ("rejectattr", Value::from_function(filters::rejectattr)),
        ("map", Value::from_function(filters::map)),
        ("groupby", Value::from_function(filters::groupby)),
        ("unique", Value::from_function(filters::unique)),
        ("chain", Value::from_function(filters::chain)),
        ("zip", Value::from_function(filters::zip)),
        ("pprint", Value::from_function(filters::pprint)),
        ("format", Value::from_function(filters::format)),
        ("tojson", Value::from_function(filters::tojson)),
    ]
}
