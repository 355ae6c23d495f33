//! The token that commands need. Only its hash is kept.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

/// Shortest and longest token, in bytes.
const SHORTEST: usize = 16;
const LONGEST: usize = 512;
/// Where the hash is kept.
const FILE: &str = "operate.sha256";

/// The hash of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Token(String);

impl Token {
    /// Its SHA-256, in hexadecimal digits.
    pub(super) fn hash(&self) -> &str {
        &self.0
    }

    fn of(text: &str) -> Token {
        Token(Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// This is the token. Hashes are compared, so how long it takes tells nothing of it.
    pub(super) fn is(&self, text: &str) -> bool {
        Token::of(text) == *self
    }
}

/// The token of a file, whose hash is kept in the folder from then on; without a file, the one that is kept.
pub(super) fn keep(folder: &Path, file: Option<&Path>) -> anyhow::Result<Option<Token>> {
    let kept = folder.join(FILE);
    let Some(file) = file else {
        let text = match std::fs::read_to_string(&kept) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{}: cannot be read", kept.display())),
        };
        let hash = text.trim();
        if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("{}: not the hash of a token; remove it, and name the token with operate_token_file", kept.display());
        }
        return Ok(Some(Token(hash.to_owned())));
    };
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("operate_token_file: {shown} cannot be read"))?;
    let text = text.trim();
    if !(SHORTEST..=LONGEST).contains(&text.len()) {
        bail!("operate_token_file: {shown}: a token has {SHORTEST} to {LONGEST} bytes (openssl rand -hex 32)");
    }
    let token = Token::of(text);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&kept).with_context(|| format!("{}: cannot be written", kept.display()))?;
    out.write_all(format!("{}\n", token.0).as_bytes())?;
    out.sync_all()?;
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hash_of_a_token_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(keep(folder.path(), None).unwrap(), None);
        let file = folder.path().join("token");
        std::fs::write(&file, "0123456789abcdef\n").unwrap();
        let token = keep(folder.path(), Some(&file)).unwrap().unwrap();
        assert!(token.is("0123456789abcdef") && !token.is("0123456789abcdeF") && !token.is(""));
        assert_eq!(keep(folder.path(), None).unwrap(), Some(token));
        assert!(!std::fs::read_to_string(folder.path().join(FILE)).unwrap().contains("0123456789abcdef"));
        std::fs::write(&file, "short").unwrap();
        assert!(keep(folder.path(), Some(&file)).is_err());
        std::fs::write(folder.path().join(FILE), "x").unwrap();
        assert!(keep(folder.path(), None).is_err());
    }
}
