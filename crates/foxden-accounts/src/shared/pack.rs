//! Counts as bytes: 32 for each.

use foxden_model::SharedCount;

/// Bytes of one count.
const BYTES: usize = 32;
/// Counts in one row: its bytes fit into the smallest column type of all databases, 64 KiB.
pub(super) const ROW: usize = 2000;

pub(super) fn pack(counts: &[SharedCount]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(counts.len() * BYTES);
    for count in counts {
        bytes.extend_from_slice(&count.counter.to_le_bytes());
        bytes.extend_from_slice(&count.key[0].to_le_bytes());
        bytes.extend_from_slice(&count.key[1].to_le_bytes());
        bytes.extend_from_slice(&count.times.to_le_bytes());
        bytes.extend_from_slice(&count.age.to_le_bytes());
    }
    bytes
}

/// The counts of a row. Bytes at its end that are no whole count are left out.
pub(super) fn unpack(bytes: &[u8]) -> impl Iterator<Item = SharedCount> {
    bytes.as_chunks::<BYTES>().0.iter().map(|row| {
        let (words, _) = row.as_chunks();
        let (halves, _) = row.as_chunks();
        SharedCount {
            counter: u64::from_le_bytes(words[0]),
            key: [u64::from_le_bytes(words[1]), u64::from_le_bytes(words[2])],
            times: i32::from_le_bytes(halves[6]),
            age: u32::from_le_bytes(halves[7]),
        }
    })
}

const _: () = assert!(ROW * BYTES < 65_536);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_as_they_were() {
        let counts = [
            SharedCount {
                counter: u64::MAX,
                key: [1, u64::MAX - 1],
                times: -7,
                age: 3,
            },
            SharedCount {
                counter: 2,
                key: [3, 4],
                times: i32::MAX,
                age: u32::MAX,
            },
        ];
        let bytes = pack(&counts);
        assert_eq!(bytes.len(), 64);
        assert_eq!(unpack(&bytes).collect::<Vec<_>>(), counts);
        assert_eq!(unpack(&bytes[..63]).count(), 1);
    }
}
