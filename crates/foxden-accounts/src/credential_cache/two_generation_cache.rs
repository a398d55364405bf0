//! A bounded memory by age.

use foldhash::{HashMap, HashMapExt as _};

use super::CacheKey;

/// Entries that are forgotten by age and number: those of this generation and those of the one before.
pub(super) struct TwoGenerationCache<V> {
    young: HashMap<CacheKey, V>,
    old: HashMap<CacheKey, V>,
    turned_at: i64,
    life: i64,
    bound: usize,
}

impl<V> TwoGenerationCache<V> {
    pub(super) fn new(life: i64, bound: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            turned_at: 0,
            life,
            bound,
        }
    }

    pub(super) fn get(&self, key: &CacheKey, now: i64) -> Option<&V> {
        let age = now - self.turned_at;
        if (0..self.life).contains(&age) {
            self.young.get(key).or_else(|| self.old.get(key))
        } else if (0..2 * self.life).contains(&age) {
            self.young.get(key)
        } else {
            None
        }
    }

    pub(super) fn put(&mut self, key: CacheKey, value: V, now: i64) {
        let age = now - self.turned_at;
        if !(0..2 * self.life).contains(&age) {
            (self.young, self.old) = (HashMap::new(), HashMap::new());
            self.turned_at = now;
        } else if age >= self.life {
            self.old = std::mem::take(&mut self.young);
            self.turned_at += self.life;
        } else if self.young.len() >= self.bound {
            self.old = std::mem::take(&mut self.young);
            self.turned_at = now;
        }
        self.young.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &CacheKey) {
        self.young.remove(key);
        self.old.remove(key);
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&V) -> bool) {
        self.young.retain(|_, value| keep(value));
        self.old.retain(|_, value| keep(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> CacheKey {
        let mut key = [0; 32];
        key[..name.len()].copy_from_slice(name.as_bytes());
        CacheKey(key)
    }

    #[test]
    fn entries_live_between_one_and_two_spans() {
        let mut generations = TwoGenerationCache::new(100, 10);
        let [early, late] = ["early", "late"].map(key);
        generations.put(early, 1, 1000);
        generations.put(late, 2, 1099);
        assert_eq!(
            (generations.get(&early, 1099), generations.get(&late, 1198)),
            (Some(&1), Some(&2))
        );
        generations.put(key("later"), 3, 1150);
        assert_eq!(
            (generations.get(&early, 1199), generations.get(&late, 1199)),
            (Some(&1), Some(&2))
        );
        assert_eq!(
            (generations.get(&early, 1200), generations.get(&late, 1200)),
            (None, None)
        );
        assert_eq!(generations.get(&key("later"), 1299), Some(&3));
        assert_eq!(generations.get(&late, 900), None, "a clock that was set back");
    }

    #[test]
    fn entries_are_bounded_and_the_oldest_go() {
        let mut generations = TwoGenerationCache::new(1_000_000, 100);
        for number in 0..1000_i64 {
            generations.put(key(&number.to_string()), number, 1000 + number);
            assert!(generations.young.len() <= 100 && generations.old.len() <= 100);
        }
        assert!(generations.get(&key("999"), 2000).is_some());
        assert!(generations.get(&key("900"), 2000).is_some());
        assert!(generations.get(&key("100"), 2000).is_none());
    }
}
