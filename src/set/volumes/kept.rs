//! The dblocks, or the dindexes, of a run by number: a volume keeps its number whatever is added or taken away.

use crate::set::volumes::packed::{ODD, Packed};

/// Numbered volumes: those of the listing sorted by name, behind them those of this run in the order they came.
#[derive(Clone, Default)]
pub(super) struct Kept {
    list: Vec<Packed>,
    /// How many of the list are sorted.
    sorted: usize,
    /// Numbers are given.
    settled: bool,
    /// Numbers of the others, sorted by name: 4 bytes each.
    later: Vec<u32>,
}

impl Kept {
    /// Adds a volume. Call [`Kept::seal`] after the last.
    pub(super) fn add(&mut self, packed: Packed) {
        self.list.push(packed);
    }

    /// Makes what was added findable. The first call settles the numbers of the listing: sorted, repeated names removed. After
    /// that no number changes.
    pub(super) fn seal(&mut self) {
        if !std::mem::replace(&mut self.settled, true) {
            self.list.sort_unstable();
            self.list
                .dedup_by(|a, b| a.tail() != ODD && (a.guid, a.tail()) == (b.guid, b.tail()));
            self.list.shrink_to_fit();
            self.sorted = self.list.len();
            return;
        }
        let from = self.sorted + self.later.len();
        self.later
            .extend((from..self.list.len()).filter_map(|i| u32::try_from(i).ok()));
        let list = &self.list;
        self.later.sort_unstable_by_key(|&no| list[no as usize]);
    }

    /// Numbers given: one more than the greatest.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.list.len()).unwrap_or(u32::MAX)
    }

    /// `None` when there is no such number, or the volume is retired.
    pub(super) fn get(&self, no: u32) -> Option<&Packed> {
        self.list.get(no as usize).filter(|p| !p.retired())
    }

    /// Those that are there, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Packed> {
        self.list.iter().filter(|p| !p.retired())
    }

    /// Those that are there by number, in the order of their names.
    pub(super) fn by_name(&self) -> impl Iterator<Item = u32> {
        let mut first = (0..u32::try_from(self.sorted).unwrap_or(u32::MAX)).peekable();
        let mut later = self.later.iter().copied().peekable();
        let all = std::iter::from_fn(move || match (first.peek(), later.peek()) {
            (Some(&a), Some(&b)) if self.list[b as usize] < self.list[a as usize] => later.next(),
            (Some(_), _) => first.next(),
            (None, _) => later.next(),
        });
        all.filter(|&no| self.get(no).is_some())
    }

    /// Numbers of the volumes with these random bits.
    pub(super) fn with_guid(&self, guid: [u8; 16]) -> impl Iterator<Item = u32> {
        let head = &self.list[..self.sorted];
        let at = head.partition_point(|p| p.guid < guid);
        let same = head[at..].iter().take_while(|p| p.guid == guid).count();
        let of = |no: &u32| self.list[*no as usize].guid;
        let from = self.later.partition_point(|no| of(no) < guid);
        let later = self.later[from..]
            .iter()
            .copied()
            .take_while(move |no| of(no) == guid);
        let sorted = (at..at + same).filter_map(|i| u32::try_from(i).ok());
        sorted.chain(later).filter(|&no| self.get(no).is_some())
    }

    /// Marks a volume as taken away; it keeps its number.
    pub(super) fn retire(&mut self, no: u32) {
        if let Some(packed) = self.list.get_mut(no as usize) {
            packed.retire();
        }
    }

    /// Takes out those that `drop` names, before anything knows a number.
    pub(super) fn remove(&mut self, drop: &mut dyn FnMut(&Packed) -> bool) {
        self.list.retain(|p| !drop(p));
        self.sorted = self.list.len();
        self.later.clear();
    }
}
