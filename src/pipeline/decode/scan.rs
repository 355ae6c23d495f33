//! The scan of a line: each key is looked up in a trie of wanted paths, and its value fills a slot.
//!
//! Lines of one logger repeat their keys in the same order, so the key expected at each place is tried first.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::pipeline::decode::slots::{Form, Slot};
use crate::pipeline::json::{self, Kind as ValueKind, Str};
use crate::pipeline::roles;

/// What a wanted key leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Slot that the value fills.
    pub(super) slot: Option<u8>,
    /// Trie node for the fields of the object below.
    pub(super) node: Option<u16>,
}

/// One level of wanted paths.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) keys: BTreeMap<String, Step>,
    /// Keys in the order of the lines so far, with what they lead to. A line may leave some out.
    pub(super) expected: Vec<Lead>,
    /// Path of the object whose keys these are, with a dot behind it; empty for the line.
    pub(super) prefix: String,
    /// Fields of known names that the plan does not read, with how many lines had them.
    pub(super) unread: BTreeMap<String, u64>,
}

/// Keys that are remembered per level; longer objects are looked up key by key.
const EXPECTED_MAX: usize = 64;

/// Remembered keys that are tried at a place.
const LOOK_AHEAD: usize = 4;

/// Bytes of a line that are compared at once; keys for which they are too few are not remembered.
const LEAD_MAX: usize = 32;

/// A remembered key with what stands around it, from behind the value before it up to its own value. Kept in place:
/// comparing it touches no other memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lead {
    bytes: [u8; LEAD_MAX],
    /// All ones where a byte counts.
    mask: [u8; LEAD_MAX],
    len: u8,
    /// The last byte is the opening quote of a string.
    is_string: bool,
    /// What the key leads to.
    step: Step,
}

impl Lead {
    /// What no line has: it is not UTF-8.
    const NONE: Lead = Lead {
        bytes: [u8::MAX; LEAD_MAX],
        mask: [u8::MAX; LEAD_MAX],
        len: 0,
        is_string: false,
        step: Step { slot: None, node: None },
    };

    /// `None` when the text is too long.
    fn new(text: &[u8], is_string: bool, step: Step) -> Option<Lead> {
        let len = u8::try_from(text.len()).ok()?;
        let mut lead = Lead { bytes: [0; LEAD_MAX], mask: [0; LEAD_MAX], len, is_string, step };
        lead.bytes.get_mut(..text.len())?.copy_from_slice(text);
        lead.mask.get_mut(..text.len())?.fill(u8::MAX);
        Some(lead)
    }

    /// Without the quote at its end.
    fn text(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len).saturating_sub(usize::from(self.is_string))).unwrap_or_default()
    }

    /// It stands at a position.
    #[inline(always)]
    fn stands_at(&self, text: &[u8], at: usize) -> bool {
        match text.get(at..at.wrapping_add(LEAD_MAX)).and_then(|rest| rest.first_chunk::<LEAD_MAX>()) {
            Some(block) => self.begins(block),
            None => self.stands_near_end(text, at),
        }
    }

    /// All bytes at once, whatever the length: a loop or a call would cost more than the few bytes that there are.
    #[inline(always)]
    fn begins(&self, block: &[u8; LEAD_MAX]) -> bool {
        let [block, bytes, mask] = [block, &self.bytes, &self.mask].map(words);
        let different = |at: usize| (block[at] ^ bytes[at]) & mask[at];
        different(0) | different(1) | different(2) | different(3) == 0
    }

    #[inline(never)]
    fn stands_near_end(&self, text: &[u8], at: usize) -> bool {
        let rest = text.get(at..).unwrap_or_default();
        let mut block = [0; LEAD_MAX];
        block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.begins(&block)
    }
}

/// Bytes as numbers, for operations on eight at once.
#[inline(always)]
pub(super) fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|at| words.get(at).map_or(0, |word| u64::from_le_bytes(*word)))
}

/// Fills slots from an object that stands in a line; `node`: trie level of its keys.
pub(super) fn scan(
    nodes: &mut [Node],
    node: usize,
    line: &str,
    object: Range<usize>,
    slots: &mut [Slot],
    nested: &mut Nested,
) -> Result<(), json::Malformed> {
    let (Some(level), Some(text)) = (nodes.get_mut(node), line.get(object.clone())) else { return Ok(()) };
    let own = nested.len();
    let mut fill = Fill { level, slots, text, from: object.start, place: 0, step: Step::default(), nested };
    json::visit_object(text, &mut fill)?;
    let end = nested.len();
    for at in own..end {
        if let Some(&(child, from, until)) = nested.get(at) {
            scan(nodes, usize::from(child), line, from as usize..until as usize, slots, nested)?;
        }
    }
    nested.truncate(own);
    Ok(())
}

/// From where to where the text of a list stands in it, whose one item is a text without escapes.
fn only_text(list: &str) -> Option<(usize, usize)> {
    let inner = list.strip_prefix('[')?.strip_suffix(']')?;
    let text = inner.trim_ascii().strip_prefix('"')?.strip_suffix('"')?;
    let from = (text.as_ptr() as usize).wrapping_sub(list.as_ptr() as usize);
    (!text.contains(['"', '\\'])).then_some((from, from + text.len()))
}

/// Objects that are still to be looked into: trie level, and from where to where each stands in the line.
pub(super) type Nested = Vec<(u16, u32, u32)>;

/// Fills slots from one object while it is scanned.
struct Fill<'n> {
    level: &'n mut Node,
    slots: &'n mut [Slot],
    /// The object.
    text: &'n str,
    /// Where the object stands in the line.
    from: usize,
    /// Keys so far.
    place: usize,
    /// What the latest key leads to.
    step: Step,
    nested: &'n mut Nested,
}

impl<'a> json::Visit<'a> for Fill<'_> {
    #[inline(always)]
    fn expected(&mut self, bytes: &[u8], at: usize) -> Option<(usize, bool)> {
        let (ahead, lead) =
            self.level.candidates(self.place).iter().enumerate().find(|(_, lead)| lead.stands_at(bytes, at))?;
        self.place += ahead;
        self.step = lead.step;
        Some((at + usize::from(lead.len), lead.is_string))
    }

    fn key(&mut self, key: Str<'a>, lead: &[u8], is_string: bool) {
        (self.place, self.step) = self.level.look_up(self.place, &key, lead, is_string);
    }

    #[inline(always)]
    fn value(&mut self, kind: ValueKind, from: usize, until: usize) {
        self.place += 1;
        if self.step == Step::default() {
            return;
        }
        // Lines are shorter than 4 GiB ([`LINE_MAX`]).
        let stands = |form| Slot { from: (self.from + from) as u32, until: (self.from + until) as u32, form };
        let found = match kind {
            ValueKind::Null => stands(Form::Absent),
            ValueKind::True => Slot { form: Form::True, ..Slot::default() },
            ValueKind::False => Slot { form: Form::False, ..Slot::default() },
            ValueKind::Number => stands(Form::Number),
            ValueKind::Plain => stands(Form::Plain),
            ValueKind::Escaped => stands(Form::Escaped),
            ValueKind::Object => stands(Form::Nested),
            ValueKind::Array => match only_text(self.text.get(from..until).unwrap_or_default()) {
                // Headers are lists of one (Caddy, Go's own).
                Some((start, end)) => Slot {
                    from: (self.from + from + start) as u32,
                    until: (self.from + from + end) as u32,
                    form: Form::Plain,
                },
                None => stands(Form::Nested),
            },
        };
        if let Some(slot) = self.step.slot
            && let Some(slot) = self.slots.get_mut(usize::from(slot))
        {
            *slot = found;
        }
        if let (Some(child), ValueKind::Object) = (self.step.node, kind) {
            self.nested.push((child, found.from, found.until));
        }
    }
}

impl Node {
    /// What may come at a place. What was learned behind the opening brace holds only there.
    #[inline(always)]
    fn candidates(&self, place: usize) -> &[Lead] {
        let rest = self.expected.get(place..).unwrap_or_default();
        rest.get(..if place == 0 { 1 } else { LOOK_AHEAD }).unwrap_or(rest)
    }

    /// Finds a key that was not expected, and remembers it; gives its place and what it leads to.
    #[cold]
    fn look_up(&mut self, place: usize, key: &Str<'_>, lead: &[u8], is_string: bool) -> (usize, Step) {
        let Some(step) = self.keys.get(key.get().as_ref()).copied() else {
            return self.unwanted(place, key, lead, is_string);
        };
        self.remember(place, step, lead, is_string)
    }

    /// A key that the plan does not read. One whose name plays a role is counted, and therefore not remembered: it must come
    /// here again.
    fn unwanted(&mut self, place: usize, key: &Str<'_>, lead: &[u8], is_string: bool) -> (usize, Step) {
        let path = format!("{}{}", self.prefix, key.get());
        if roles::role_of_known(&path).is_none() {
            return self.remember(place, Step::default(), lead, is_string);
        }
        *self.unread.entry(path).or_default() += 1;
        (place, Step::default())
    }

    fn remember(&mut self, place: usize, step: Step, lead: &[u8], is_string: bool) -> (usize, Step) {
        let text = if is_string { lead.split_last().map_or(lead, |(_, text)| text) } else { lead };
        // A key whose value is a string in one line and none in the other.
        if let Some(ahead) = self.candidates(place).iter().position(|known| known.text() == text)
            && let (Some(known), Some(lead)) = (self.expected.get_mut(place + ahead), Lead::new(text, false, step))
        {
            *known = lead;
            return (place + ahead, step);
        }
        if let Some(lead) = Lead::new(lead, is_string, step) {
            if place > 0 && place <= self.expected.len() && self.expected.len() < EXPECTED_MAX {
                self.expected.insert(place, lead);
            } else if place < EXPECTED_MAX {
                if self.expected.len() <= place {
                    self.expected.resize(place + 1, Lead::NONE);
                }
                self.expected[place] = lead;
            }
        }
        (place, step)
    }
}
