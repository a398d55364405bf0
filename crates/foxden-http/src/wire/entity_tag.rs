//! Compares entity tags, which clients and proxies return in several forms.

/// Suffixes that proxies append to a tag when they compress: Apache, and other servers and libraries.
const SUFFIXES: [&[u8]; 8] = [
    b"-gzip",
    b"-br",
    b"-deflate",
    b"-zstd",
    b"--gzip",
    b"--br",
    b";gzip",
    b";br",
];

/// Returns whether a header such as `If-None-Match` names this tag.
///
/// Clients leave out the quotes or put it into another pair, nginx marks it as weak, and Apache appends how it compressed:
/// it is the same tag all the same. `tag` has no quotes and none of the suffixes.
pub(crate) fn is_named(header: &[u8], tag: &str) -> bool {
    header.split(|&byte| byte == b',').any(|named| {
        let named = named.trim_ascii();
        let named = unquoted(named.strip_prefix(b"W/").unwrap_or(named));
        let suffix = named.strip_prefix(tag.as_bytes());
        suffix.is_some_and(|suffix| suffix.is_empty() || SUFFIXES.contains(&suffix))
    })
}

fn unquoted(mut named: &[u8]) -> &[u8] {
    while let Some(inner) = named
        .strip_prefix(b"\"")
        .and_then(|named| named.strip_suffix(b"\""))
    {
        named = inner;
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_however_it_is_spelled() {
        for header in [
            "\"ab\"",
            "ab",
            "W/\"ab\"",
            " \"x\" , \"ab\"",
            "x,W/ab",
            "\"\"ab\"\"",
            "\"ab-gzip\"",
            "W/\"ab-gzip\"",
            "\"ab-br\"",
            "\"ab--gzip\"",
            "\"ab;gzip\"",
            "ab-gzip",
            "\"x-gzip\", \"ab-gzip\"",
        ] {
            assert!(is_named(header.as_bytes(), "ab"), "{header}");
        }
        for header in [
            "",
            " ",
            "*",
            "\"abc\"",
            "\"ab",
            "a,b",
            "W/",
            "\"ab-\"",
            "\"ab-gzipx\"",
            "\"-gzip\"",
            "\"abgzip\"",
        ] {
            assert!(!is_named(header.as_bytes(), "ab"), "{header}");
        }
    }
}
