//! What must not be kept, by how it looks.

use std::collections::BTreeSet;

use regex::{Captures, Regex};

use super::{Edit, Looks, edits_of, spliced};

/// Digits of the shortest and of the longest card number (ISO/IEC 7812-1).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// An address as people have them: of what RFC 5322 allows before the `@`, only what does not end words of addresses and of text; the domain ends in letters, which versions of packages
/// (`react@18.2.0`) do not; the sign also as addresses of pages and strings in strings write it.
const EMAIL: &str = r"(?P<local>[\pL\pN][\pL\pN._%+'-]*)(?:@|%40|\\u0040)(?P<domain>[\pL\pN][\pL\pN-]*(?:\.[\pL\pN-]+)*\.\pL[\pL\pN-]+)";

/// Secrets by their form. `keep`: what stands before one and stays.
///
/// Forms as their issuers document them: JSON Web Tokens (RFC 7519), keys of AWS, GitHub, GitLab, Slack, Stripe, Google and npm, PEM
/// (RFC 7468), HTTP authorization (RFC 9110), SQL's `IDENTIFIED BY`, curl's `-u`, passwords of clients of databases and registries, addresses
/// of hooks, signed addresses of Azure. What may reach far ends at a blank and begins at a word that is seldom: else a long text were
/// looked through once for each.
///
/// Ends of words are those of ASCII: what asks which letters are some elsewhere takes the fast way only through lines of ASCII. The same
/// holds for letters in any case, of which `k` and `s` have others beyond it.
const TOKEN: &str = concat!(
    r"(?P<keep>(?-u:\b)(?i-u:bearer|basic|apikey|token)\s+)[A-Za-z0-9._~+/=-]{8,}",
    r"|(?-u:\b)(?:",
    r"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?",
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}(?-u:\b)",
    r"|gh[pousr]_[A-Za-z0-9]{20,}",
    r"|github_pat_[A-Za-z0-9_]{20,}",
    r"|glpat-[A-Za-z0-9_-]{20,}",
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"|xapp-[0-9]-[A-Za-z0-9-]{10,}",
    r"|[rs]k_(?:live|test)_[A-Za-z0-9]{10,}",
    r"|sk-[A-Za-z0-9_-]{20,}",
    r"|AIza[A-Za-z0-9_-]{35}",
    r"|ya29\.[A-Za-z0-9_-]{20,}",
    r"|GOCSPX-[A-Za-z0-9_-]{20,}",
    r"|npm_[A-Za-z0-9]{36}",
    r"|pypi-AgE[A-Za-z0-9_-]{16,}",
    r"|hf_[A-Za-z0-9]{30,}",
    r"|shp(?:at|ca|pa|ss)_[A-Za-z0-9]{24,}",
    r"|do[opr]_v1_[A-Za-z0-9]{24,}",
    r"|glsa_[A-Za-z0-9]{20,}_[A-Za-z0-9]{8}",
    r"|NRAK-[A-Za-z0-9]{20,}",
    r"|ATATT3x[A-Za-z0-9_=-]{16,}",
    r"|lin_api_[A-Za-z0-9]{20,}",
    r"|sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{20,}",
    r"|whsec_[A-Za-z0-9+/=]{16,}",
    r"|sk-(?:proj|ant|svcacct)-[A-Za-z0-9_-]{8,}",
    r"|SG\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    r"|hv[sbr]\.[A-Za-z0-9_-]{12,}",
    r"|dckr_(?:pat|oat)_[A-Za-z0-9_-]{8,})",
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-[^-])*(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
    r"|(?P<hook>hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/|outlook\.office(?:365)?\.com/webhook/|\.webhook\.office\.com/webhookb2/)[A-Za-z0-9/_@-]+",
    r"|(?P<bot>api\.telegram\.org/(?:file/)?bot)[0-9]+(?::|%3A)[A-Za-z0-9_-]+",
    r"|(?P<quoted>(?-u:\b)(?i-u:identified)\s+(?:(?i-u:with)\s+\S+\s+)?(?i-u:by)\s+(?:(?i-u:password)\s+)?)['\x22][^'\x22]*['\x22]",
    r"|(?P<option>(?:^|\s)(?P<flag>-u|--user|--proxy-user|-a|--auth)(?P<apart>\s+|=)?(?P<user>'[^\s:'\x22]+:|\x22[^\s:'\x22]+:|[^\s:'\x22]+:))(?:[^\s'\x22]+)",
    r"|(?P<jar>(?:^|\s)-b\s*)(?:'[^'\r\n]*'|\x22[^\x22\r\n]*\x22|[^\s'\x22=]+=[^\s'\x22]+)",
    r"|(?P<client>(?-u:\b)(?:(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump)(?:\s+[^\s|;&]+){0,8}?\s+-p",
    r"|sshpass\s+-p\s*",
    r"|(?:mongo|mongosh|mongodump|mongorestore|mongoexport|mongoimport|(?:docker|podman|nerdctl|az|oc)\s+login)(?:\s+[^\s|;&]+){0,8}?\s+-p\s*",
    r"|(?:redis-cli|ldapsearch|ldapadd|ldapmodify|ldapdelete|ldappasswd|plink|pscp|psftp)(?:\s+[^\s|;&]+){0,8}?\s+-(?:a|w|pw)\s+",
    r"|sqlcmd(?:\s+[^\s|;&]+){0,8}?\s+-P\s*",
    r"|configure\s+set\s+[A-Za-z0-9_.]*(?:secret_access_key|session_token)\s+",
    r"|rabbitmqctl\s+(?:add_user|change_password)\s+[^\s]+\s+",
    r"|(?i-u:config\s+set\s+(?:requirepass|masterauth))\s+)",
    r"|\s-(?:src|dest)?(?:store|key)pass\s+|\s-pass(?:in|out)?\s+pass:)(?:'[^'\s]*'|\x22[^\x22\s]*\x22|[^\s'\x22]+)",
    r"|(?P<form>(?:^|[?&;]|%3F|%26)(?i-u:pass|sig)(?:=|%3D))(?P<given>[^\s&#;\x22'<>]+)",
);

/// Bytes of the shortest that is looked for: `?sig=a`.
const TOKEN_MIN: usize = 6;

/// What is told by `-u` in these is no user: `rsync -u src:dst`.
const OTHER_PROGRAMS: [&str; 7] = ["rsync", "deploy", "chown", "cp", "sort", "git", "date"];

/// What asks others, by the letters of its options: to curl `-u` says who asks, and `-b` with which cookies.
const CURL: [&str; 1] = ["curl"];

/// The same with `-a`, and with `-u` behind a blank alone.
const OTHER_CLIENTS: [&str; 5] = ["http", "https", "httpie", "xh", "wget"];

/// Bytes before an option in which a program is looked for that is no client.
const PROGRAM_WITHIN: usize = 64;

/// What people are told by in prose: `identified by "email"`. In SQL a password stands there.
const IDENTIFIERS: [&str; 10] = ["email", "e-mail", "phone", "id", "uuid", "name", "username", "login", "sku", "key"];

/// How words end that follow `basic` or `bearer` in prose: `basic authentication failed`.
const PROSE: [&str; 6] = ["tion", "ing", "ed", "ment", "required", "credentials"];

/// Ends of what holds a connection's name, user and password together.
const NETWORKS: [&str; 4] = ["@tcp(", "@unix(", "@(", "@/"];

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
        let token = self.token.as_ref().filter(|_| !is_id && text.len() >= TOKEN_MIN);
        // First, since a part of a password may look like a key, and the rest of it like nothing.
        if token.is_some() {
            done = without_users(text);
        }
        let text_now = done.as_deref().unwrap_or(text);
        if let Some(token) = token {
            let edits = tokens(token, text_now);
            if !edits.is_empty() {
                done = Some(spliced(text_now, edits));
            }
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

/// What is to be cut out of a text.
fn tokens(token: &Regex, text: &str) -> Vec<Edit> {
    let mut programs = Programs::default();
    edits_of(text, token, |of, edits| {
        let whole = of.get(0).map_or(0..0, |whole| whole.range());
        if let Some(option) = of.name("option") {
            programs.look(text, whole.start);
            let word = text.get(option.end()..whole.end).unwrap_or_default();
            if !programs.asks(of, word) {
                // What it tells may still be one of another form.
                return of.name("flag").map_or(whole.end, |flag| flag.end());
            }
            // In quotes, up to the end of them.
            let quote =
                of.name("user").and_then(|user| user.as_str().chars().next()).filter(|c| matches!(c, '\'' | '"'));
            let rest = text.get(option.end()..).unwrap_or_default();
            let until =
                quote.and_then(|quote| rest.find([quote, '\r', '\n'])).map_or(whole.end, |at| option.end() + at);
            edits.push((option.end(), until.max(whole.end), TOKEN_MARK.to_owned()));
            return until.max(whole.end);
        }
        if let Some(jar) = of.name("jar") {
            programs.look(text, whole.start);
            if !programs.is_last(&CURL) {
                return jar.end();
            }
        }
        if !is_ordinary(text, of) {
            let before = ["keep", "hook", "bot", "quoted", "jar", "client", "form"];
            let from = before.iter().find_map(|name| of.name(name)).map_or(whole.start, |before| before.end());
            edits.push((from, whole.end, TOKEN_MARK.to_owned()));
        }
        whole.end
    })
}

/// Of the words of a command line those that are told by a word before them (`-u`, `ann:x`): which, and from which byte on. Its words may
/// have blanks in them, so that each goes to its end.
pub(super) fn told_by_words(finder: &Finder, words: &[&str]) -> Vec<(usize, usize)> {
    let Some(token) = &finder.token else { return Vec::new() };
    let bytes: usize = words.iter().map(|word| word.len()).sum();
    if words.len() < 2 || bytes > WORDS_MAX || !words.iter().any(|word| word.starts_with('-')) {
        return Vec::new();
    }
    let line = words.join(" ");
    let mut programs = Programs::default();
    let cuts = edits_of(&line, token, |of, edits| {
        let whole = of.get(0).map_or(0..0, |whole| whole.range());
        let before = match (of.name("option"), of.name("jar"), of.name("client")) {
            (Some(option), _, _) => option,
            (_, Some(jar), _) => jar,
            (_, _, Some(client)) => client,
            _ => return whole.end,
        };
        programs.look(&line, whole.start);
        let is_told = match (of.name("option"), of.name("jar")) {
            // Most lists tell no shell what to do, so that it must be named.
            (Some(_), _) => {
                programs.is_client() && programs.asks(of, line.get(before.end()..whole.end).unwrap_or_default())
            }
            (_, Some(_)) => programs.is_last(&CURL),
            _ => !is_ordinary(&line, of),
        };
        if is_told {
            edits.push((before.end(), whole.end, String::new()));
        }
        whole.end
    });
    let mut starts = 0;
    let mut cuts = cuts.into_iter().map(|(from, _, _)| from).peekable();
    let mut told = Vec::new();
    for (nth, word) in words.iter().enumerate() {
        let ends = starts + word.len();
        if let Some(from) = cuts.next_if(|from| (starts..ends).contains(from)) {
            told.push((nth, from - starts));
        }
        while cuts.next_if(|from| *from <= ends).is_some() {}
        starts = ends + 1;
    }
    told
}

/// Bytes of a command line whose words are looked at together.
const WORDS_MAX: usize = 64 << 10;

/// What stands where something was that looks like a secret.
const TOKEN_MARK: &str = "<token>";

/// The programs that a text names before a place in it, each looked for once.
#[derive(Default)]
struct Programs {
    /// How far was looked.
    at: usize,
    /// The last of those that are known, and where it ends.
    last: Option<(&'static str, usize)>,
}

impl Programs {
    fn look(&mut self, text: &str, until: usize) {
        let is_end = |c: char| c.is_whitespace() || ";|&()<>'\"`=,:$".contains(c);
        let new = text.get(self.at..until).unwrap_or_default();
        let mut from = 0;
        for word in new.split_inclusive(is_end) {
            let name = word.trim_end_matches(is_end);
            let end = self.at + from + name.len();
            from += word.len();
            let name = name.rsplit('/').next().unwrap_or(name);
            let known = OTHER_PROGRAMS.iter().chain(&CURL).chain(&OTHER_CLIENTS).find(|known| **known == name);
            // `https` of an address is none.
            let is_address = text.get(end..).is_some_and(|rest| rest.starts_with("://"));
            if let Some(known) = known.filter(|_| !is_address) {
                self.last = Some((*known, end));
            }
        }
        self.at = self.at.max(until);
    }

    fn is_last(&self, known: &[&str]) -> bool {
        self.last.is_some_and(|(name, _)| known.contains(&name))
    }

    fn is_client(&self) -> bool {
        self.is_last(&CURL) || self.is_last(&OTHER_CLIENTS)
    }

    /// A user and a password are told, not what another program is told.
    fn asks(&self, of: &Captures<'_>, word: &str) -> bool {
        let part = |name: &str| of.name(name).map_or("", |part| part.as_str());
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number is that of a group, not a password: `docker run -u 1000:1000`.
        if is_number(word) && is_number(part("user").trim_matches(['\'', '"', ':'])) {
            return false;
        }
        if part("flag").starts_with("-a") || part("flag") == "--auth" {
            return self.is_last(&OTHER_CLIENTS) && !part("apart").is_empty() && !is_number(word);
        }
        // `-uann:x` is curl's; other options begin with these letters too.
        if part("apart").is_empty() && !part("user").starts_with(['\'', '"']) {
            return self.is_last(&CURL);
        }
        let starts = of.get(0).map_or(0, |whole| whole.start());
        let is_near = self.last.is_some_and(|(_, end)| end + PROGRAM_WITHIN >= starts);
        !(self.is_last(&OTHER_PROGRAMS) && is_near)
    }
}

/// What looks like a secret is a word of prose.
fn is_ordinary(text: &str, of: &Captures<'_>) -> bool {
    let part = |name: &str| of.name(name).map_or("", |part| part.as_str());
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(keep) = of.name("keep") {
        let word = text.get(keep.end()..of.get(0).map_or(0, |whole| whole.end())).unwrap_or_default();
        let word = word.trim_end_matches('.');
        return word.bytes().all(|byte| byte.is_ascii_lowercase()) && PROSE.iter().any(|end| word.ends_with(end));
    }
    if let Some(quoted) = of.name("quoted") {
        let word = of.get(0).map_or("", |whole| whole.as_str()).trim_end_matches(['\'', '"']);
        let word = word.rsplit(['\'', '"']).next().unwrap_or_default();
        return quoted.as_str().starts_with('i') && IDENTIFIERS.contains(&word);
    }
    if let Some(client) = of.name("client").filter(|client| client.as_str().starts_with("mongo")) {
        // A port, or an option that begins with the letter: `-parallel`.
        let word = text.get(client.end()..of.get(0).map_or(0, |whole| whole.end())).unwrap_or_default();
        let word = word.trim_end_matches([';', ',', '.']);
        let is_glued = client.as_str().ends_with('p');
        return is_number(word) && word.len() <= 5 || is_glued && word.bytes().all(|byte| byte.is_ascii_lowercase());
    }
    // At the begin of a text nothing says that it is a form: `pass=true`, `sig=SIGTERM`.
    let given = part("given");
    let is_outcome = || matches!(given, "true" | "false" | "yes" | "no" | "ok") || given.starts_with("SIG");
    part("form").starts_with(|c: char| c.is_ascii_alphabetic()) && (is_outcome() || given.len() < 4 && is_number(given))
}

/// A text without the users and passwords of addresses (RFC 3986) and of data sources; `None` where there are none.
///
/// Passwords have slashes and colons in them as people write them, so that a password ends at the last `@` that may end it before a blank,
/// a quote or the next address. Each byte is looked at a fixed number of times.
fn without_users(text: &str) -> Option<String> {
    let mut last = memchr::memrchr(b'@', text.as_bytes())?;
    let is_end = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`');
    let mut cuts: Vec<(usize, usize)> = Vec::new();
    // From behind: of what has no `@` nothing is looked at.
    loop {
        let before = text.as_bytes().get(..last).unwrap_or_default();
        let from = before.iter().rposition(|byte| is_end(*byte)).map_or(0, |at| at + 1);
        let until = text.as_bytes().get(last..).unwrap_or_default();
        let until = until.iter().position(|byte| is_end(*byte)).map_or(text.len(), |at| last + at);
        of_word(text.get(from..until).unwrap_or_default(), from, &mut cuts);
        match memchr::memrchr(b'@', text.as_bytes().get(..from).unwrap_or_default()) {
            Some(at) => last = at,
            None => break,
        }
    }
    if cuts.is_empty() {
        return None;
    }
    cuts.sort_unstable();
    let mut done = String::with_capacity(text.len());
    let mut at = 0;
    for (from, until) in cuts {
        done.push_str(text.get(at..from).unwrap_or_default());
        done.push_str("<token>");
        at = until;
    }
    done.push_str(text.get(at..).unwrap_or_default());
    Some(done)
}

/// What is to be cut out of a word that stands at `at`: users and passwords of the addresses in it.
fn of_word(word: &str, at: usize, cuts: &mut Vec<(usize, usize)>) {
    let mut signs = memchr::memmem::find_iter(word.as_bytes(), b"://").peekable();
    let head = word.get(..signs.peek().copied().unwrap_or(word.len())).unwrap_or_default();
    cuts.extend(of_source(head).map(|(from, until)| (at + from, at + until)));
    while let Some(sign) = signs.next() {
        let from = sign + "://".len();
        let address = word.get(from..signs.peek().copied().unwrap_or(word.len())).unwrap_or_default();
        if let Some(until) = user_until(address) {
            cuts.push((at + from, at + from + until));
        }
    }
}

/// Where the user and the password of an address end, behind its `://`.
fn user_until(address: &str) -> Option<usize> {
    // Brackets are those of a host by its number.
    let colon = address.find(['/', ':', '@', '[']).filter(|at| address.as_bytes().get(*at) == Some(&b':'))?;
    let behind = address.get(colon + 1..)?;
    let slash = behind.find('/').unwrap_or(behind.len());
    let is_port = slash < behind.len() && behind.bytes().take(slash).all(|byte| byte.is_ascii_digit());
    if is_port && slash > 0 {
        return None;
    }
    // Parameters and `/@scope` come behind the host; a password may have their signs.
    let first = memchr::memchr(b'@', behind.as_bytes())?;
    let asked = behind.get(first..)?.find(['?', '#']).map_or(behind.len(), |at| first + at);
    let mut ends = memchr::memrchr_iter(b'@', behind.as_bytes().get(..asked)?);
    let end = ends.find(|end| *end > 0 && behind.as_bytes().get(end - 1) != Some(&b'/')).or(Some(first))?;
    (end > 0).then_some(colon + 1 + end)
}

/// The password of a data source: `user:password@tcp(host)/name` of Go's MySQL driver, whose network may be left out, and
/// `jdbc:oracle:thin:user/password@host`.
fn of_source(word: &str) -> Option<(usize, usize)> {
    if let Some(oracle) = word.find("jdbc:oracle:") {
        let user = word.get(oracle..)?.find('/').map(|at| oracle + at + 1)?;
        let end = memchr::memrchr(b'@', word.as_bytes())?;
        return (user < end).then_some((user, end));
    }
    let mut ends = memchr::memrchr_iter(b'@', word.as_bytes());
    let end = ends.find(|at| {
        let rest = word.get(*at..).unwrap_or_default();
        NETWORKS.iter().any(|network| rest.starts_with(network))
    })?;
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let name = |colon: usize| colon.checked_sub(1).and_then(|at| word.as_bytes().get(at)).copied();
    let mut colons = memchr::memchr_iter(b':', word.as_bytes().get(..end)?);
    let colon = colons.find(|colon| name(*colon).is_some_and(is_of_name))?;
    (colon + 1 < end).then_some((colon + 1, end))
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
