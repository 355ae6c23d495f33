//! By their names: which fields hold a secret, and which only sound so.

/// How the names of fields end that hold a secret, in small letters without `_` and `-`, where secrets are taken out.
pub(super) const SECRET_FIELDS: [&str; 69] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "accesskeyid",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "jwt",
    "sessionid",
    "sessid",
    "accountkey",
    "encryptionkey",
    "signingkey",
    "masterkey",
    "signature",
    "subscriptionkey",
    "functionskey",
    "storagekey",
    "authkey",
    "appkey",
    "applicationkey",
    "licensekey",
    "sharedkey",
    "sshkey",
    "hmackey",
    "deploykey",
    "clientkeydata",
    "secretkeybase",
    // With a word behind: which of several, or in what form.
    "passwordconfirmation",
    "passwordconfirm",
    "passwordagain",
    "passwordrepeat",
    "passwordnew",
    "passwordold",
    "passwordcurrent",
    "passwordvalue",
    "passwordplain",
    "passwordraw",
    "passwordencrypted",
    "passwordhash",
    "passworddigest",
    "passwdhash",
    "pwdhash",
    "secretvalue",
    "secretstring",
    "secretbinary",
    "tokenvalue",
    "apikeyvalue",
    "cookievalue",
    "cookieheader",
    "authorizationheader",
    "authheader",
    // Codes that are good once, and those of cards.
    "otpcode",
    "mfacode",
    "verificationcode",
    "recoverycode",
    "securitycode",
    "cvvcode",
    "cvccode",
    "presharedkey",
];

/// Of these, whose names may have a number behind.
const NUMBERED: [&str; 5] = ["password", "passwd", "pwd", "passphrase", "secret"];

/// Bytes of the longest of them.
pub(super) const SECRET_FIELD_MAX: usize = 20;

/// Names that hold one where they are the last word of a field's name.
pub(super) const SECRET_WORDS: [&str; 12] =
    ["pass", "pw", "otp", "totp", "cvv", "cvv2", "cvc", "cvc2", "sig", "psk", "cred", "creds"];

/// The same in text, in any case.
pub(super) const SECRET_NAMES: &str = concat!(
    r"[A-Za-z0-9_-]*?(?:(?:password|passwd|pwd|passphrase|passcode)(?:[_.-]?(?:confirmation|confirm|again|repeat|new|old|current|value|plain|raw|encrypted|hash|digest|[1-9]))?",
    r"|secret(?:[_-]?(?:value|string|binary|key[_-]?base|[1-9]))?|token(?:[_-]?value)?",
    r"|(?:api|access|secret|private|account|encryption|signing|master|subscription|functions|storage)[_-]?key(?:[_-]?(?:id|value))?",
    r"|(?:auth|app|application|license|shared|ssh|hmac|deploy)[_-]?key|client[_-]?key[_-]?data",
    r"|credentials?|(?:authorization|cookie)(?:[_-]?(?:header|value))?|auth[_-]?header|jwt|sess(?:ion)?[_-]?id|signature)",
    r"|(?:[A-Za-z0-9_-]*?[_-])?(?:t?otp(?:[_-]?code)?|cv[cv](?:2|[_-]?code)?|(?:mfa|verification|recovery|security)[_-]?code|psk|creds?)",
    r"|[A-Za-z0-9_-]*?(?:[_.-](?:pass|pw|sig)|(?-i:[a-z]Pass))|(?:connect\.)?sid",
);

/// Words before `signature`, `pass` and `sig` with which they name no secret.
pub(super) const ORDINARY_BEFORE: [&str; 20] = [
    // Of what is told apart by it.
    "error",
    "crash",
    "exception",
    "stack",
    "method",
    "function",
    "call",
    "issue",
    "attack",
    "virus",
    "operation",
    // Which round it is, or what was checked.
    "first",
    "second",
    "third",
    "multi",
    "dmarc",
    "spf",
    "dkim", // How a program ended.
    "exit",
    "term",
];

/// Words before `token` with which it is a place in a list or the number of a lock: people search by them, and they open nothing.
pub(super) const ORDINARY_TOKENS: [&str; 4] = ["page", "next", "continuation", "fencing"];

/// What stands before the last word of a name, and that word: words end at `.`, `_`, `-`, brackets, and where a capital follows a small letter.
pub(super) fn last_word(name: &str) -> (&str, &str) {
    let name = name.trim_end_matches(['.', '_', '-', '[', ']']);
    let starts = name.as_bytes().windows(2).rposition(|pair| match pair {
        [b'.' | b'_' | b'-' | b'[' | b']', _] => true,
        [before, first] => before.is_ascii_lowercase() && first.is_ascii_uppercase(),
        _ => false,
    });
    name.split_at_checked(starts.map_or(0, |at| at + 1)).unwrap_or(("", name))
}

/// A password's name without which of several it is: `password2`. Tokens have numbers also where they are coins (`token0`).
fn numbered(path: &str) -> Option<&str> {
    let name = path.strip_suffix(|last: char| ('1'..='9').contains(&last))?;
    NUMBERED.iter().any(|end| name_ends_with(name, end)).then_some(name)
}

/// A name without what says that it is a value: `nextPageTokenValue`.
fn core(path: &str) -> &str {
    match last_word(path) {
        (before, last) if last.eq_ignore_ascii_case("value") && !before.is_empty() => before,
        _ => path,
    }
}

/// A name ends as those of secrets do, and is none: `error_signature`, `first_pass`, `exit_sig`, `nextPageToken`.
pub(super) fn is_ordinary(path: &str) -> bool {
    let (before, last) = last_word(core(path));
    let is_any = |word: &str, of: &[&str]| of.iter().any(|known| word.eq_ignore_ascii_case(known));
    let with: &[&str] = match last {
        _ if last.eq_ignore_ascii_case("token") => &ORDINARY_TOKENS,
        _ if is_any(last, &["signature", "pass", "sig"]) => &ORDINARY_BEFORE,
        _ => return false,
    };
    is_any(last_word(before).1, with)
}

/// A field holds a secret by its name.
pub(super) fn is_secret_name(path: &str) -> bool {
    // A name with a full stop in it: `password.value`.
    let path = path.strip_suffix(".value").filter(|before| !before.is_empty()).unwrap_or(path);
    let (before, last) = last_word(path);
    // Of the short ones, `dbPass` is of two words; `compass` is of one.
    let is_whole = before.is_empty() || before.ends_with(['.', '_', '-', '[', ']']);
    let is_word = || match is_whole {
        true => SECRET_WORDS.iter().any(|word| last.eq_ignore_ascii_case(word)),
        false => last == "Pass" || last == "Pw",
    };
    (is_word() || Tail::of(path).is_secret() || is_sid(path)) && !is_ordinary(path)
}

/// The name that many give the id of a session; others give it to what is no secret, so that its value must look like one too
/// ([`is_short_sid`]).
fn is_sid(path: &str) -> bool {
    path.rsplit('.').next().is_some_and(|name| name.eq_ignore_ascii_case("sid"))
}

/// Letters and digits of the shortest id of a session that is told by its form.
const SID_MIN: usize = 16;

/// A value under the name `sid` is too short for the id of a session, or is that of a user of Windows (`S-1-5-21-...`).
pub(super) fn is_short_sid(path: &str, value: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-%:+/=".contains(&byte);
    let count = |is: fn(&u8) -> bool| value.as_bytes().iter().filter(|byte| is(byte)).count();
    let is_id = || {
        value.bytes().all(is_part)
            && count(u8::is_ascii_alphanumeric) >= SID_MIN
            && count(u8::is_ascii_digit) > 0
            && count(u8::is_ascii_alphabetic) > 0
            && !value.starts_with("S-1-")
    };
    is_sid(path) && !path.to_ascii_lowercase().ends_with("connect.sid") && !is_id()
}

/// A text looks as no word does: eight or more, letters and digits, without a blank.
pub(super) fn is_like_secret(text: &str) -> bool {
    let has = |is: fn(&u8) -> bool| text.as_bytes().iter().any(is);
    text.len() >= 8 && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic) && !has(u8::is_ascii_whitespace)
}

/// The end of a field's name in small letters, without `_`, `-` and brackets.
pub(super) struct Tail {
    bytes: [u8; SECRET_FIELD_MAX],
    from: usize,
}

impl Tail {
    fn of(path: &str) -> Tail {
        let mut tail = Tail { bytes: [0; SECRET_FIELD_MAX], from: SECRET_FIELD_MAX };
        let path = numbered(path).unwrap_or(path);
        let name = path.bytes().rev().take_while(|byte| *byte != b'.');
        let letters = name.filter(|byte| !matches!(byte, b'_' | b'-' | b'[' | b']'));
        for (to, byte) in tail.bytes.iter_mut().rev().zip(letters) {
            *to = byte.to_ascii_lowercase();
            tail.from -= 1;
        }
        tail
    }

    fn is_secret(&self) -> bool {
        let name = self.bytes.get(self.from..).unwrap_or_default();
        SECRET_FIELDS.iter().any(|end| name.ends_with(end.as_bytes()))
    }
}

/// A number under such a name is how many there are: `pass: 17`, `n_cookie: 4`. Of passwords and codes as long, none is sure.
pub(super) fn is_count(name: &str, number: &str) -> bool {
    let last = last_word(core(name)).1;
    let counted = ["pass", "token", "cookie", "sig"].iter().any(|word| last.eq_ignore_ascii_case(word));
    counted && (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The folder that a shell is in has the name of a password: `PWD=/srv/app`. Connections write it `Pwd`, or behind a semicolon.
pub(super) fn is_folder(name: &str, value: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let name = name.rsplit('.').next().unwrap_or(name);
    matches!(name, "PWD" | "OLDPWD" | "pwd" | "oldpwd") && value.starts_with('/') && value.bytes().all(is_part)
}

pub(super) fn is_session_name(path: &str) -> bool {
    name_ends_with(path, "sessionid") || is_sid(path)
}

/// The last part of a path ends with these letters, in any case, whatever `_` and `-` are among its own.
pub(super) fn name_ends_with(path: &str, end: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    let mut letters = name
        .bytes()
        .rev()
        .filter(|byte| !matches!(byte, b'_' | b'-' | b'[' | b']'))
        .map(|byte| byte.to_ascii_lowercase());
    end.bytes().rev().all(|byte| letters.next() == Some(byte))
}

/// A text may be the name of a field, a header or an option.
pub(super) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}
