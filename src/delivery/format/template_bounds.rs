//! Bounds what a template may spend: the engine counts steps, but one step may double a value, and a filter may take for ever.
//!
//! A compiled template is rewritten: after each step that makes a value, a step is added that weighs it, and all text goes
//! through the printer, which weighs it, too. No value may be heavier than [`MAX_VALUE`], and all that was weighed may not
//! be heavier than [`MAX_WORK`]. So each step works on bounded values, and there are only so many of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::machinery::{CompiledTemplate, Instruction, Instructions};
use minijinja::value::{Object, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

/// The greatest weight of a value: about its bytes.
const MAX_VALUE: u64 = 1 << 20;

/// The greatest weight of everything that one rendering makes. The attendance list of a large meeting weighs 200 000.
const MAX_WORK: u64 = 64 << 20;

/// How deep values may be nested.
const MAX_NESTING: usize = 32;

/// What a value weighs beside its text and its parts.
const EACH: u64 = 8;

/// A constant that is lighter than this is not weighed.
const LIGHT: u64 = 64;

/// The names of what the rewriting adds. No template can write them.
const WEIGH: &str = "\u{1}weigh";
const TIMES: &str = "\u{1}times";
const BUDGET: &str = "\u{1}budget";

/// No place in the engine's cache of filters.
const UNCACHED: u8 = u8::MAX;

/// What is left of [`MAX_WORK`].
#[derive(Debug)]
struct Budget(AtomicU64);

impl Object for Budget {}

/// The root of a template's variables: these, and a budget.
pub(super) fn with_budget<const N: usize>(variables: [(&'static str, Value); N]) -> Value {
    let budget = Value::from_object(Budget(AtomicU64::new(MAX_WORK)));
    Value::from(variables.into_iter().chain([(BUDGET, budget)]).collect::<BTreeMap<_, _>>())
}

/// Adds the filters that the rewriting uses.
pub(super) fn add_to(environment: &mut minijinja::Environment<'static>) {
    environment.add_filter(WEIGH, |state: &State<'_, '_>, value: Value| -> Result<Value, Error> {
        charge(state, weight(&value)?)?;
        Ok(value)
    });
    environment.add_filter(TIMES, times);
}

/// Takes so much from the budget.
pub(super) fn charge(state: &State<'_, '_>, weight: u64) -> Result<(), Error> {
    let budget = state.lookup(BUDGET);
    let left = budget.as_ref().and_then(|budget| budget.downcast_object_ref::<Budget>()).map(|budget| &budget.0);
    let taken =
        left.map(|left| left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(weight)));
    if matches!(taken, Some(Ok(_))) { Ok(()) } else { Err(too_much()) }
}

pub(super) fn too_much() -> Error {
    Error::from(ErrorKind::OutOfFuel)
}

/// Weighs a value with all its parts.
///
/// # Errors
/// If it is too heavy, or nested too deep.
pub(super) fn weight(value: &Value) -> Result<u64, Error> {
    let mut total = 0;
    add_weight(value, 0, &mut total)?;
    Ok(total)
}

fn add_weight(value: &Value, depth: usize, total: &mut u64) -> Result<(), Error> {
    *total += EACH + value.as_str().map_or(0, |text| text.len() as u64);
    if *total > MAX_VALUE || depth > MAX_NESTING {
        return Err(too_much());
    }
    let kind = value.kind();
    if value.is_kwargs() || !matches!(kind, ValueKind::Seq | ValueKind::Iterable | ValueKind::Map) {
        return Ok(());
    }
    for item in value.try_iter()? {
        add_weight(&item, depth + 1, total)?;
        if kind == ValueKind::Map {
            add_weight(&value.get_item(&item)?, depth + 1, total)?;
        }
    }
    Ok(())
}

/// Multiplies as the engine does, but never makes a value that is too heavy.
#[expect(clippy::needless_pass_by_value, reason = "a filter of the engine takes its arguments by value")]
fn times(left: Value, right: Value) -> Result<Value, Error> {
    let of_kind =
        |value: &Value| value.as_str().is_some() || matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable);
    let (repeated, count) = if of_kind(&right) { (&right, &left) } else { (&left, &right) };
    if !of_kind(repeated) {
        return product(&left, &right).ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "cannot multiply these"));
    }
    let count = count.as_usize().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "cannot repeat so often"))?;
    if weight(repeated)?.saturating_mul(count as u64) > MAX_VALUE {
        return Err(too_much());
    }
    if let Some(text) = repeated.as_str() {
        return Ok(Value::from(text.repeat(count)));
    }
    let items: Vec<Value> = repeated.try_iter()?.collect();
    Ok(Value::from(items.iter().cycle().take(items.len() * count).cloned().collect::<Vec<_>>()))
}

fn product(left: &Value, right: &Value) -> Option<Value> {
    if !left.is_number() || !right.is_number() {
        return None;
    }
    let whole = |value: &Value| value.is_integer().then(|| i64::try_from(value.clone()).ok()).flatten();
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => left.checked_mul(right).map(Value::from),
        _ => Some(Value::from(f64::try_from(left.clone()).ok()? * f64::try_from(right.clone()).ok()?)),
    }
}

/// A template whose values are weighed.
pub(super) struct Weighed<'e> {
    pub(super) instructions: Instructions<'e>,
    pub(super) blocks: BTreeMap<&'e str, Instructions<'e>>,
}

impl<'e> Weighed<'e> {
    /// Rewrites a compiled template. Returns `None` if it reaches for another template, which would not be rewritten.
    pub(super) fn of(compiled: &CompiledTemplate<'e>) -> Option<Self> {
        let blocks = compiled.blocks.iter().map(|(name, block)| Some((*name, rewritten(block)?)));
        Some(Self { instructions: rewritten(&compiled.instructions)?, blocks: blocks.collect::<Option<_>>()? })
    }
}

fn rewritten<'e>(from: &Instructions<'e>) -> Option<Instructions<'e>> {
    let mut steps = Vec::new();
    // Where each step went to. A jump leads to the first of the steps that replace it.
    let mut places = Vec::new();
    for (at, step) in (0..).map_while(|at| from.get(at).map(|step| (at, step))) {
        places.push(u32::try_from(steps.len()).ok()?);
        let line = from.get_line(at).and_then(|line| u16::try_from(line).ok()).unwrap_or_default();
        steps.extend(replaced(step, from.get(at + 1))?.into_iter().map(|step| (step, line)));
    }
    places.push(u32::try_from(steps.len()).ok()?);
    let mut to = Instructions::new(from.name(), from.source());
    for (mut step, line) in steps {
        relink(&mut step, &places)?;
        to.add_with_line(step, line);
    }
    Some(to)
}

/// Returns the steps that replace one. `next` is the step after it.
fn replaced<'e>(step: &Instruction<'e>, next: Option<&Instruction<'e>>) -> Option<Vec<Instruction<'e>>> {
    let weigh = Instruction::ApplyFilter(WEIGH, Some(1), UNCACHED);
    let looked_into = matches!(next, Some(Instruction::GetAttr(_)));
    Some(match step {
        Instruction::Include(_) | Instruction::LoadBlocks => return None,
        Instruction::EmitRaw(text) => {
            vec![Instruction::LoadConst(Value::from_safe_string((*text).to_owned())), Instruction::Emit]
        }
        Instruction::Mul => vec![Instruction::ApplyFilter(TIMES, Some(2), UNCACHED), weigh],
        step if makes_a_value(step) && !looked_into => vec![step.clone(), weigh],
        step => vec![step.clone()],
    })
}

fn makes_a_value(step: &Instruction<'_>) -> bool {
    match step {
        Instruction::LoadConst(value) => weight(value).map_or(true, |weight| weight > LIGHT),
        Instruction::Lookup(_)
        | Instruction::GetAttr(_)
        | Instruction::GetItem
        | Instruction::Slice
        | Instruction::BuildMap(_)
        | Instruction::BuildList(_)
        | Instruction::BuildTuple(_)
        | Instruction::Add
        | Instruction::StringConcat
        | Instruction::ApplyFilter(..)
        | Instruction::EndCapture
        | Instruction::CallFunction(..)
        | Instruction::CallMethod(..)
        | Instruction::CallObject(_) => true,
        _ => false,
    }
}

/// Lets a jump lead to where its target went.
fn relink(step: &mut Instruction<'_>, places: &[u32]) -> Option<()> {
    if let Instruction::Iterate(target)
    | Instruction::Jump(target)
    | Instruction::JumpIfFalse(target)
    | Instruction::JumpIfFalseOrPop(target)
    | Instruction::JumpIfTrueOrPop(target)
    | Instruction::BuildMacro(_, target, _) = step
    {
        *target = *places.get(usize::try_from(*target).ok()?)?;
    }
    Some(())
}
