//! What must not be kept, by how it looks.

use std::collections::BTreeSet;

use regex::{Captures, Regex};

use super::Looks;

/// Digits of the shortest and of the longest card number (ISO/IEC 7812-1).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// An address as people have them: of what RFC 5322 allows before the `@`, only what does not end words of addresses and of text; the domain ends in letters, which versions of packages
/// (`react@18.2.0`) do not; the sign also as addresses of pages and strings in strings write it.
const EMAIL: &str = r"(?P<local>[\pL\pN][\pL\pN._%+'-]*)(?:@|%40|\\u0040)(?P<domain>[\pL\pN][\pL\pN-]*(?:\.[\pL\pN-]+)*\.\pL[\pL\pN-]+)";

/// Secrets by their form. `keep`: what stands before one and stays.
///
/// Forms as their issuers document them: JSON Web Tokens (RFC 7519), keys of AWS, GitHub, GitLab, Slack, Stripe, Google and npm, PEM
/// (RFC 7468), user information in addresses (RFC 3986), HTTP authorization (RFC 9110), SQL's `IDENTIFIED BY`, curl's `-u`, data sources of
/// Go's MySQL driver.
const TOKEN: &str = concat!(
    r"(?P<keep>(?i:\b(?:bearer|basic|apikey|token)\s+))[A-Za-z0-9._~+/=-]{8,}",
    r"|\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?",
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}",
    r"|\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"|\bglpat-[A-Za-z0-9_-]{20,}",
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"|\b[rs]k_(?:live|test)_[A-Za-z0-9]{10,}",
    r"|\bsk-[A-Za-z0-9_-]{20,}",
    r"|\bAIza[A-Za-z0-9_-]{35}",
    r"|\bnpm_[A-Za-z0-9]{36}",
    r"|\bwhsec_[A-Za-z0-9+/=]{16,}",
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:[^-]*-----END [A-Z ]{0,40}PRIVATE KEY-----|[^-]*)",
    r"|(?P<hook>hooks\.slack\.com/(?:services|workflows|triggers)/)[A-Za-z0-9/_-]+",
    r"|(?P<quoted>(?i:\bidentified\s+(?:with\s+\S+\s+)?by\s+(?:password\s+)?))['\x22][^'\x22]*['\x22]",
    r"|(?P<option>\s(?:-u|--user|--proxy-user)\s+['\x22]?[^\s:'\x22]+:)(?P<word>[^\s'\x22]+)",
    r"|(?P<dsn>\b[A-Za-z0-9_.-]+:)[^\s:/'\x22]+(?P<net>@(?:tcp|unix)\()",
    r"|(?P<scheme>://)[^\s/:@\x22'<>]*:[^\s/\x22'<>]+(?P<host>@)",
);

/// Bytes of the shortest of them: `://a:b@`.
const TOKEN_MIN: usize = 7;

/// Finds what is asked for.
#[derive(Debug)]
pub(super) struct Finder {
    email: Option<Regex>,
    token: Option<Regex>,
    card: bool,
    /// Something is asked for that cannot be looked for.
    is_blind: bool,
}

impl Finder {
    pub(super) fn new(looks: &BTreeSet<Looks>) -> Finder {
        let of = |which: Looks, source: &str| looks.contains(&which).then(|| Regex::new(source)).transpose();
        let card = looks.contains(&Looks::Card);
        match (of(Looks::Email, EMAIL), of(Looks::Token, TOKEN)) {
            (Ok(email), Ok(token)) => Finder { email, token, card, is_blind: false },
            _ => Finder { email: None, token: None, card, is_blind: true },
        }
    }

    /// Something is asked for that cannot be looked for: nothing may be kept.
    pub(super) fn is_blind(&self) -> bool {
        self.is_blind
    }

    /// A text without what is looked for; `None` where there is nothing of it. `hash`: what stands for an address.
    pub(super) fn replaced(&self, text: &str, hash: &dyn Fn(&str) -> String) -> Option<String> {
        let mut done: Option<String> = None;
        // Ids and numbers are most of what a line holds; of all that is looked for they can only be a card.
        let is_id = text.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'.' | b' '));
        if let Some(token) = self.token.as_ref().filter(|_| !is_id && text.len() >= TOKEN_MIN)
            && let std::borrow::Cow::Owned(found) = token.replace_all(text, |of: &Captures<'_>| {
                let part = |name: &str| of.name(name).map_or("", |part| part.as_str());
                // A number is that of a group, not a password: `docker run -u 1000:1000`.
                let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let user = part("option").trim_end_matches(':').rsplit([' ', '\'', '"']).next().unwrap_or_default();
                if is_number(part("word")) && is_number(user) {
                    return of[0].to_owned();
                }
                let before = ["keep", "hook", "quoted", "option", "dsn", "scheme"].map(part).concat();
                format!("{before}<token>{}{}", part("net"), part("host"))
            })
        {
            done = Some(found);
        }
        let text_now = done.as_deref().unwrap_or(text);
        if let Some(email) = &self.email
            && !is_id
            && memchr::memchr2(b'@', b'0', text_now.as_bytes()).is_some()
            && let std::borrow::Cow::Owned(found) =
                email.replace_all(text_now, |of: &Captures<'_>| match is_address(of) {
                    true => format!("<email:{}>", hash(&of[0])),
                    false => of[0].to_owned(),
                })
            && found != text_now
        {
            done = Some(found);
        }
        if self.card
            && let Some(found) = without_cards(done.as_deref().unwrap_or(text))
        {
            done = Some(found);
        }
        done
    }
}

/// No version of a package (`lodash@4.17.21-beta.rc`), and no place of a repository (`git@host:path`).
fn is_address(of: &Captures<'_>) -> bool {
    let part = |name: &str| of.name(name).map_or("", |part| part.as_str());
    let is_number = |label: Option<&str>| label.is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    let mut labels = part("domain").split('.');
    part("local") != "git" && !(is_number(labels.next()) && is_number(labels.next()))
}

/// A text without numbers of cards; `None` where there are none.
fn without_cards(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut done = String::new();
    let (mut at, mut from) = (0, 0);
    while let Some(start) = bytes.get(at..).and_then(|rest| rest.iter().position(u8::is_ascii_digit)) {
        let start = at + start;
        let is_word = start > 0 && bytes.get(start - 1).is_some_and(|byte| is_part(*byte));
        match card_at(bytes, start).filter(|_| !is_word) {
            Some(end) => {
                done.push_str(text.get(from..start).unwrap_or_default());
                done.push_str("<card>");
                (at, from) = (end, end);
            }
            // The next group of digits.
            None => at = start + bytes.get(start..).map_or(1, digits),
        }
    }
    if from == 0 {
        return None;
    }
    done.push_str(text.get(from..).unwrap_or_default());
    Some(done)
}

/// Letters, digits and what holds decimal numbers and words together.
fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || byte >= 0x80
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count().max(1)
}

/// Where the number of a card ends that begins at `start`: digits, in groups with one blank or hyphen between them or without.
fn card_at(bytes: &[u8], start: usize) -> Option<usize> {
    let mut number: Vec<u8> = Vec::with_capacity(*CARD_DIGITS.end());
    let mut at = start;
    let mut end = None;
    let mut dots = 0;
    while number.len() <= *CARD_DIGITS.end() {
        let group = bytes.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if group == 0 {
            break;
        }
        number.extend(bytes.get(at..at + group).unwrap_or_default().iter().map(|byte| byte - b'0'));
        at += group;
        let next = bytes.get(at).copied();
        let ends = next.is_none_or(|byte| !is_part(byte) || byte == b'.' && !followed_by_digit(bytes, at));
        // A number with a fraction is none: full stops part all groups or none.
        if ends && dots != 1 && CARD_DIGITS.contains(&number.len()) && is_card(&number) {
            end = Some(at);
        }
        match next {
            Some(b' ' | b'-') => at += 1,
            Some(b'.') if matches!(group, 4 | 6) && followed_by_digit(bytes, at) => {
                at += 1;
                dots += 1;
            }
            _ => break,
        }
    }
    end
}

fn followed_by_digit(bytes: &[u8], at: usize) -> bool {
    bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
}

/// Of a payment network, by its first digits, with the right check digit (ISO/IEC 7812-1, annex B).
fn is_card(number: &[u8]) -> bool {
    let head = number.iter().take(4).fold(0u32, |sum, digit| sum * 10 + u32::from(*digit));
    let is_issued = matches!(head / 1000, 4)
        || (5_100..=5_599).contains(&head)
        || (2_221..=2_720).contains(&head)
        || matches!(head / 100, 34 | 36 | 37 | 38 | 30 | 35 | 62 | 64 | 65)
        || matches!(head, 6_011 | 6_304 | 6_759 | 6_761 | 6_762 | 6_763 | 5_018 | 5_020 | 5_038);
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    is_issued && sum.is_multiple_of(10)
}
