//! Tokens: who may send lines, read verdicts, and change rollouts.
//!
//! A file holds one token a line: its name, what it is for (`ingest`, `read`, `operate`, with commas), and the SHA-256 of its secret. The
//! secret itself stands nowhere. Secrets are random and long, so nothing slower than SHA-256 is needed to keep them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use crate::cli::run::token::Token;
use crate::cli::terminal::harmless;

/// Tokens of a file.
const TOKENS_MAX: usize = 1_000;
/// Bytes of a secret.
const SECRET_MAX: usize = 1_024;

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

/// Known tokens, by the hash of their secrets.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens(BTreeMap<[u8; 32], Vec<Scope>>);

impl Tokens {
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
        const FORM: &str = "write NAME SCOPES SHA-256, for example `web ingest,read 9f86...`";
        let mut tokens = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = format!("line {}", number + 1);
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_name, scopes, hash] = words.as_slice() else { bail!("{place}: {FORM}") };
            let scopes = scopes.split(',').map(|word| {
                let scope = Scope::ALL.into_iter().find(|scope| scope.name() == word);
                scope.with_context(|| {
                    format!("{place}: `{}` is no scope; there are ingest, read and operate", harmless(word, 40))
                })
            });
            let scopes = scopes.collect::<anyhow::Result<Vec<Scope>>>()?;
            let hash = hash_of_text(hash).with_context(|| {
                format!("{place}: the last word must be the SHA-256 of the secret, 64 hexadecimal digits; {FORM}")
            })?;
            if tokens.insert(hash, scopes).is_some() {
                bail!("{place}: a line before has the same secret");
            }
            if tokens.len() > TOKENS_MAX {
                bail!("more than {TOKENS_MAX} tokens");
            }
        }
        if tokens.is_empty() {
            bail!("there is no token in it; {FORM}");
        }
        Ok(Tokens(tokens))
    }

    /// The same, with the operator's token, where there is one: it is for what a token of the scope `operate` is for.
    pub(super) fn and_operator(mut self, token: Option<&Token>) -> Tokens {
        if let Some(hash) = token.and_then(|token| hash_of_text(token.hash())) {
            self.0.entry(hash).or_default().push(Scope::Operate);
        }
        self
    }

    /// What the token of a request allows.
    pub(super) fn allow(&self, headers: &HeaderMap, asked: &[Scope]) -> Allowed {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let scopes = value.and_then(secret).and_then(|secret| self.0.get(&<[u8; 32]>::from(Sha256::digest(secret))));
        match scopes {
            None => Allowed::Unknown,
            Some(scopes) if scopes.iter().any(|scope| asked.iter().any(|asked| scope.covers(*asked))) => Allowed::Yes,
            Some(_) => Allowed::No,
        }
    }
}

fn hash_of_text(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| Some(c.to_digit(16)? as u8)).collect();
    let bytes: Vec<u8> = digits?.chunks(2).map(|two| two.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    if text.len() == 64 { bytes.try_into().ok() } else { None }
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

/// Bytes of a text in base64 (RFC 4648), also with the letters for addresses and without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut word, mut bits, mut out) = (0u32, 0, Vec::new());
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        word = word << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
            word &= (1 << bits) - 1;
        }
    }
    Some(out)
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
}
