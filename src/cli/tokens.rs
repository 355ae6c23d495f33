//! Tokens: who may send lines, read verdicts, and change rollouts. `serin token` makes one.
//!
//! A file holds one token a line: its name, what it is for (`ingest`, `read`, `operate`, with commas), and the SHA-256 of its secret. The
//! secret itself stands nowhere. Secrets are random and long, so nothing slower than SHA-256 is needed to keep them. The token of
//! `operate_token_file` is one for `operate` that is given as itself; the state directory keeps its hash.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, bail};
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::cli::arguments::TokenArguments;
use crate::cli::terminal::{self, harmless};

/// Tokens of a file.
const TOKENS_MAX: usize = 1_000;
/// Bytes of a secret in a header.
const SECRET_MAX: usize = 1_024;
/// Shortest and longest secret of the operator's file, in bytes.
const OPERATOR: std::ops::RangeInclusive<usize> = 16..=512;
/// Where the hash of the operator's token is kept, in the state directory.
const KEPT: &str = "operate.sha256";
/// Random bytes of a token that is made.
const RANDOM: usize = 32;
/// How a token begins that is made, so that tools that look for secrets know it.
const PREFIX: &str = "serin_";

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Scope {
    /// Sending lines.
    Ingest,
    /// Reading verdicts and reports.
    Read,
    /// Changing rollouts; reading too.
    Operate,
}

impl Scope {
    const ALL: [Scope; 3] = [Scope::Ingest, Scope::Read, Scope::Operate];

    /// The word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Scope::Ingest => "ingest",
            Scope::Read => "read",
            Scope::Operate => "operate",
        }
    }

    /// A token for this is one for that.
    fn covers(self, asked: Scope) -> bool {
        self == asked || (self == Scope::Operate && asked == Scope::Read)
    }

    fn list(text: &str) -> anyhow::Result<Vec<Scope>> {
        let of_word = |word: &str| {
            let scope = Scope::ALL.into_iter().find(|scope| scope.name() == word);
            scope.with_context(|| format!("`{}` is no scope; there are ingest, read and operate", harmless(word, 40)))
        };
        text.split(',').map(of_word).collect()
    }
}

/// SHA-256 of a secret. Hashes are compared, so how long it takes tells nothing of the secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Hash([u8; 32]);

impl Hash {
    /// That of a secret.
    pub(super) fn of(secret: &[u8]) -> Hash {
        Hash(Sha256::digest(secret).into())
    }

    /// From 64 hexadecimal digits.
    fn parse(text: &str) -> Option<Hash> {
        let digits: Option<Vec<u8>> = text.chars().map(|c| Some(c.to_digit(16)? as u8)).collect();
        let bytes: Vec<u8> = digits?.chunks(2).map(|two| two.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
        if text.len() == 64 { bytes.try_into().ok().map(Hash) } else { None }
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a request's token allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Allowed {
    /// What was asked.
    Yes,
    /// Something else.
    No,
    /// There is no token, or none that is known.
    Unknown,
}

/// A token that is known.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Known {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub scopes: Vec<Scope>,
}

/// The name of the operator's token, which has none in its file.
const OPERATOR_NAME: &str = "operator";

/// Known tokens, by the hash of their secrets.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Tokens {
    known: BTreeMap<Hash, Known>,
    /// They come from a file of tokens: each call needs one. Otherwise commands alone do.
    for_all: bool,
    /// That of the operator, where a file names it.
    operator: Option<Hash>,
}

impl Tokens {
    /// The tokens of a file, where one is named, and the operator's: of a file, or the one that is kept in the folder. Nothing
    /// changes there.
    pub(super) fn load(file: Option<&Path>, operator: Option<&Path>, state: &Path) -> anyhow::Result<Tokens> {
        let mut tokens = file.map(Tokens::read).transpose().context("--tokens")?.unwrap_or_default();
        tokens.operator = operator.map(operator_of).transpose()?;
        let hash = match tokens.operator {
            None => kept(&state.join(KEPT))?,
            named => named,
        };
        if let Some(hash) = hash {
            let known = tokens.known.entry(hash).or_default();
            known.scopes.push(Scope::Operate);
            if known.name.is_empty() {
                OPERATOR_NAME.clone_into(&mut known.name);
            }
        }
        Ok(tokens)
    }

    /// Keeps the hash of the operator's token in a folder, where a file has named it: from then on the file may go.
    pub(super) fn keep(&self, state: &Path) -> anyhow::Result<()> {
        let Some(hash) = self.operator else { return Ok(()) };
        let path = state.join(KEPT);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut out = options.open(&path).with_context(|| format!("{}: cannot be written", path.display()))?;
        out.write_all(format!("{hash}\n").as_bytes())?;
        out.sync_all()?;
        Ok(())
    }

    /// Reads a file of tokens.
    pub(super) fn read(path: &Path) -> anyhow::Result<Tokens> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("{shown}: cannot be read"))?;
        #[cfg(unix)]
        {
            let metadata = std::fs::metadata(path).with_context(|| format!("{shown}: cannot be read"))?;
            if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o022 != 0 {
                bail!("{shown}: others may write it, and so give themselves tokens; chmod go-w {shown}");
            }
        }
        Tokens::parse(&text).with_context(|| format!("{shown}"))
    }

    fn parse(text: &str) -> anyhow::Result<Tokens> {
        const FORM: &str =
            "write NAME SCOPES SHA-256, as `serin token` prints it, for example `web ingest,read 9f86...`";
        let mut known = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = format!("line {}", number + 1);
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, scopes, hash] = words.as_slice() else { bail!("{place}: {FORM}") };
            let scopes = Scope::list(scopes).with_context(|| place.clone())?;
            let hash = Hash::parse(hash).with_context(|| {
                format!("{place}: the last word must be the SHA-256 of the secret, 64 hexadecimal digits; {FORM}")
            })?;
            if known.insert(hash, Known { name: (*name).to_owned(), scopes }).is_some() {
                bail!("{place}: a line before has the same secret");
            }
            if known.len() > TOKENS_MAX {
                bail!("more than {TOKENS_MAX} tokens");
            }
        }
        if known.is_empty() {
            bail!("there is no token in it; {FORM}");
        }
        Ok(Tokens { known, for_all: true, operator: None })
    }

    /// Each call needs a token.
    pub(super) fn for_all(&self) -> bool {
        self.for_all
    }

    /// Somebody may change rollouts.
    pub(super) fn may_operate(&self) -> bool {
        self.known.values().flat_map(|known| &known.scopes).any(|scope| scope.covers(Scope::Operate))
    }

    /// What the token of a request allows.
    pub(super) fn allow(&self, headers: &HeaderMap, asked: &[Scope]) -> Allowed {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match value.and_then(secret) {
            Some(secret) => self.allow_known(&Hash::of(&secret), asked),
            None => Allowed::Unknown,
        }
    }

    /// What the token of this hash allows.
    pub(super) fn allow_known(&self, hash: &Hash, asked: &[Scope]) -> Allowed {
        match self.known.get(hash).map(|known| &known.scopes) {
            None => Allowed::Unknown,
            Some(scopes) if scopes.iter().any(|scope| asked.iter().any(|asked| scope.covers(*asked))) => Allowed::Yes,
            Some(_) => Allowed::No,
        }
    }

    /// The token of this hash.
    pub(super) fn known(&self, hash: &Hash) -> Option<&Known> {
        self.known.get(hash)
    }
}

/// The tokens as they are now: they may be others while the program runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Access(Arc<RwLock<Arc<Tokens>>>);

impl Access {
    pub(super) fn new(tokens: Tokens) -> Access {
        Access(Arc::new(RwLock::new(Arc::new(tokens))))
    }

    pub(super) fn tokens(&self) -> Arc<Tokens> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn replace(&self, tokens: Tokens) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
    }
}

/// The hash that is kept in a file, where there is one.
fn kept(path: &Path) -> anyhow::Result<Option<Hash>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{}: cannot be read", path.display())),
    };
    let hash = Hash::parse(text.trim()).with_context(|| {
        format!("{}: not the hash of a token; remove it, and name the token with operate_token_file", path.display())
    })?;
    Ok(Some(hash))
}

/// The operator's token of a file.
pub(super) fn operator_of(file: &Path) -> anyhow::Result<Hash> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("operate_token_file: {shown} cannot be read"))?;
    let text = text.trim();
    if !OPERATOR.contains(&text.len()) {
        let (least, most) = (OPERATOR.start(), OPERATOR.end());
        bail!("operate_token_file: {shown}: a token has {least} to {most} bytes (openssl rand -hex 32)");
    }
    Ok(Hash::of(text.as_bytes()))
}

/// The secret in an `Authorization` header: `Bearer SECRET`, `Splunk SECRET`, `Basic` with the secret as the password, `ApiKey` as Elasticsearch
/// has it (`id:secret` in base64) or with the secret itself.
fn secret(value: &str) -> Option<Vec<u8>> {
    let (form, rest) = value.trim().split_once(' ')?;
    let rest = rest.trim();
    if rest.is_empty() || rest.len() > SECRET_MAX {
        return None;
    }
    let behind_colon = || {
        let pair = base64(rest)?;
        let colon = pair.iter().position(|byte| *byte == b':')?;
        Some(pair[colon + 1..].to_vec())
    };
    match form.to_ascii_lowercase().as_str() {
        "bearer" | "splunk" => Some(rest.as_bytes().to_vec()),
        "basic" => behind_colon(),
        "apikey" => Some(behind_colon().unwrap_or_else(|| rest.as_bytes().to_vec())),
        _ => None,
    }
}

/// Bytes of a text in base64 (RFC 4648), also with the letters for addresses and without padding, since clients differ.
fn base64(text: &str) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, lenient).decode(text).ok()
}

/// Runs `token`: makes a secret, and says what of it belongs into a file of tokens.
pub(super) fn make(arguments: &TokenArguments) -> anyhow::Result<u8> {
    let scopes = Scope::list(&arguments.scopes).context("--for")?;
    let name = &arguments.name;
    if name.is_empty() || name.len() > 100 || name.starts_with('#') || !name.bytes().all(|byte| byte.is_ascii_graphic())
    {
        bail!("a name has 1 to 100 letters, digits and signs, without blanks");
    }
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("there is no randomness here: {error}"))?;
    let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let scopes: Vec<&str> = scopes.into_iter().map(Scope::name).collect();
    let line = format!("{name} {} {}\n", scopes.join(","), Hash::of(secret.as_bytes()));
    match &arguments.tokens {
        None => terminal::print(&format!(
            "The token, which is shown this once:\n{secret}\n\nThe line for the file of `serin run --tokens FILE`:\n{line}"
        ))?,
        Some(path) => {
            add_line(path, name, &line)?;
            terminal::print(&format!("{secret}\n"))?;
        }
    }
    Ok(0)
}

/// Adds a line to a file of tokens, which stays one.
fn add_line(path: &Path, name: &str, line: &str) -> anyhow::Result<()> {
    let shown = path.display();
    let before = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("{shown}: cannot be read")),
    };
    if !before.trim().is_empty() {
        Tokens::read(path)?;
    }
    if before.lines().any(|line| line.split_whitespace().next() == Some(name)) {
        bail!("{shown}: there is a token of the name {name}; take its line out, or choose another name");
    }
    let end = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(|| format!("{shown}: cannot be written"))?;
    file.write_all(format!("{end}{line}").as_bytes()).and_then(|()| file.sync_all())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    /// SHA-256 of `secret`.
    const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn allowed(tokens: &Tokens, value: &str, asked: &[Scope]) -> Allowed {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        tokens.allow(&headers, asked)
    }

    #[test]
    fn each_client_gives_the_secret_in_its_own_form() {
        let tokens = Tokens::parse(&format!("# who\n\nweb ingest {HASH}\n")).unwrap();
        assert!(tokens.for_all() && !tokens.may_operate());
        for value in [
            "Bearer secret",
            "bearer  secret",
            "Splunk secret",
            "Basic YW55Ym9keTpzZWNyZXQ=",
            "ApiKey aWQ6c2VjcmV0",
            "ApiKey secret",
        ] {
            assert_eq!(allowed(&tokens, value, &[Scope::Ingest]), Allowed::Yes, "{value}");
            assert_eq!(allowed(&tokens, value, &[Scope::Read, Scope::Operate]), Allowed::No, "{value}");
        }
        for value in [
            "Bearer other",
            "Bearer ",
            "secret",
            "Basic secret",
            "Basic !!",
            "Digest secret",
            &format!("Bearer {HASH}"),
        ] {
            assert_eq!(allowed(&tokens, value, &[Scope::Ingest]), Allowed::Unknown, "{value}");
        }
        assert_eq!(tokens.allow(&HeaderMap::new(), &[Scope::Ingest]), Allowed::Unknown);
        let tokens = Tokens::parse(&format!("boss operate {HASH}")).unwrap();
        assert_eq!(allowed(&tokens, "Bearer secret", &[Scope::Read]), Allowed::Yes);
        assert_eq!(allowed(&tokens, "Bearer secret", &[Scope::Ingest]), Allowed::No);
        assert!(tokens.may_operate());
    }

    #[test]
    fn a_file_that_is_none_is_refused_with_the_line() {
        for (text, words) in [
            (String::new(), "no token"),
            (format!("web {HASH}"), "line 1: write NAME SCOPES"),
            (format!("\nweb admin {HASH}"), "line 2: `admin` is no scope"),
            ("web read secret".to_owned(), "line 1: the last word must be the SHA-256"),
            (format!("a read {HASH}\nb ingest {HASH}"), "line 2: a line before has the same secret"),
        ] {
            let said = format!("{:#}", Tokens::parse(&text).unwrap_err());
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn base64_is_read_in_all_its_spellings() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8", "fo"), ("Zm9vYmFy", "foobar")] {
            assert_eq!(base64(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(base64("-_-_"), base64("+/+/"));
        assert_eq!(base64("a b"), None);
    }

    #[test]
    fn of_the_operators_token_only_the_hash_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let load = |file: Option<&Path>| Tokens::load(None, file, folder.path());
        assert_eq!(load(None).unwrap(), Tokens::default());
        let file = folder.path().join("token");
        std::fs::write(&file, "0123456789abcdef\n").unwrap();
        let tokens = load(Some(&file)).unwrap();
        // The forms are those of all tokens, and it is for no call but commands that one is needed.
        for value in ["Bearer 0123456789abcdef", "Basic YW55OjAxMjM0NTY3ODlhYmNkZWY="] {
            assert_eq!(allowed(&tokens, value, &[Scope::Operate]), Allowed::Yes);
        }
        assert_eq!(allowed(&tokens, "Bearer 0123456789abcdeF", &[Scope::Operate]), Allowed::Unknown);
        assert!(tokens.may_operate() && !tokens.for_all());
        assert!(!load(None).unwrap().may_operate(), "nothing is kept yet");
        tokens.keep(folder.path()).unwrap();
        assert_eq!(load(None).unwrap().known, tokens.known);
        assert_eq!(tokens.known.values().next().unwrap().name, "operator");
        assert!(!std::fs::read_to_string(folder.path().join(KEPT)).unwrap().contains("0123456789abcdef"));
        std::fs::write(&file, "short").unwrap();
        assert!(load(Some(&file)).is_err());
        std::fs::write(folder.path().join(KEPT), "x").unwrap();
        assert!(load(None).is_err());
    }
}
