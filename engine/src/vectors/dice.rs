//! Randomness that a seed repeats.

use mosaik::Digest;

pub(super) struct Dice {
    seed: Digest,
    rolls: u64,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed: Digest::hash(&seed.to_le_bytes()), rolls: 0 }
    }

    pub(super) fn id(&mut self) -> [u8; 32] {
        self.rolls += 1;
        *self.seed.derive(self.rolls.to_le_bytes()).as_bytes()
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(32) {
            let id = self.id();
            chunk.copy_from_slice(&id[..chunk.len()]);
        }
        bytes
    }

    /// 0 to `limit`, the limit left out.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        let mut number = [0; 8];
        number.copy_from_slice(&self.id()[..8]);
        u64::from_le_bytes(number) % limit
    }

    pub(super) fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap_or(0)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    pub(super) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.coin().then(|| make(self))
    }

    pub(super) fn several<T>(&mut self, limit: u64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(limit + 1)).map(|_| make(self)).collect()
    }

    /// A short text, never empty and without commas: those would make two policies look alike.
    pub(super) fn text(&mut self) -> String {
        const LETTERS: [&str; 12] = ["a", "Z", "0", "-", ".", " ", "ä", "学", "🦀", "\"", "\\", "\u{1f}"];
        let count = 1 + self.below(8);
        (0..count).map(|_| LETTERS[self.index(LETTERS.len())]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself() {
        let (mut one, mut two, mut other) = (Dice::new(1), Dice::new(1), Dice::new(2));
        let (first, second) = (one.bytes::<70>(), two.bytes::<70>());
        assert_eq!(first, second);
        assert_ne!(first, other.bytes::<70>());
        assert_eq!(one.text(), two.text());
    }
}
