//! What grew by how much, in bounded room.

use std::{collections::HashMap, hash::Hash};

use super::Moved;

/// Keys and their growth, so many at most. When they are full the lighter half becomes others: what
/// begins to grow late still finds room.
#[derive(Debug)]
pub(super) struct Table<K> {
    rows: HashMap<K, Row>,
    /// All that found no room.
    pub(super) others: Moved,
    next: u64,
    most: usize,
}

#[derive(Debug, Default)]
struct Row {
    moved: Moved,
    /// Its place among all: the earlier one goes first among equals.
    order: u64,
}

impl<K: Eq + Hash + Clone> Table<K> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            rows: HashMap::new(),
            others: Moved::default(),
            next: 0,
            most,
        }
    }

    pub(super) fn add(&mut self, key: K, moved: Moved) {
        if self.rows.len() >= self.most && !self.rows.contains_key(&key) {
            self.shed();
        }
        let next = &mut self.next;
        let row = self.rows.entry(key).or_insert_with(|| {
            *next += 1;
            Row {
                moved: Moved::default(),
                order: *next,
            }
        });
        row.moved.add(moved);
    }

    /// All that is in another one.
    pub(super) fn merge(&mut self, other: &Self) {
        for (key, moved) in other.sorted() {
            self.add(key.clone(), moved);
        }
        self.others.add(other.others);
    }

    /// The half that gained least goes to the others.
    fn shed(&mut self) {
        let mut weights: Vec<_> = self.rows.values().map(Row::weight).collect();
        weights.sort_unstable();
        let middle = weights[weights.len() / 2];
        let others = &mut self.others;
        self.rows.retain(|_, row| {
            let stays = row.weight() < middle;
            if !stays {
                others.add(row.moved);
            }
            stays
        });
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.others = Moved::default();
    }

    /// The largest net growth first.
    pub(super) fn sorted(&self) -> impl Iterator<Item = (&K, Moved)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_unstable_by_key(|(_, row)| (-i128::from(row.moved.net.0), row.order));
        rows.into_iter().map(|(key, row)| (key, row.moved))
    }
}

impl Row {
    /// Sorts the heaviest first, and the earlier first among equals.
    fn weight(&self) -> (i128, u64) {
        (-i128::from(self.moved.gained.0), self.order)
    }
}
