//! The subscription index: a tree of filter levels, with the subscriptions at its nodes.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    session::{Session, Subscribed},
    topic,
};

#[cfg(test)]
mod tests;

/// A session's subscription at a node.
#[derive(Debug)]
pub(super) struct Entry {
    pub session: Arc<Session>,
    pub subscribed: Subscribed,
}

/// A shared subscription: its members take turns.
#[derive(Debug)]
pub(super) struct Group {
    name: Box<str>,
    pub members: Vec<Entry>,
    turn: AtomicUsize,
}

impl Group {
    /// The members, beginning with the one whose turn it is.
    pub fn in_turn(&self) -> impl Iterator<Item = &Entry> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.members.len().max(1);
        let (before, from) = self.members.split_at(turn);
        from.iter().chain(before)
    }
}

/// The subscriptions of one filter.
#[derive(Debug, Default)]
struct Leaf {
    entries: Vec<Entry>,
    groups: Vec<Group>,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Node>,
    /// The level `+`.
    plus: Option<Box<Node>>,
    /// Filters that end here.
    here: Leaf,
    /// Filters that end in `/#` here.
    below: Leaf,
}

/// What a topic matches.
#[derive(Debug, Default)]
pub(super) struct Matches<'a> {
    pub entries: Vec<&'a Entry>,
    pub groups: Vec<&'a Group>,
}

impl Matches<'_> {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.groups.is_empty()
    }
}

/// The index.
#[derive(Debug, Default)]
pub(super) struct Index {
    root: Node,
    count: usize,
}

impl Index {
    /// Subscriptions in it.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Adds or replaces a session's subscription to a well-formed filter. Whether it is new.
    pub fn insert(&mut self, path: &str, session: &Arc<Session>, subscribed: Subscribed) -> bool {
        let (group, filter) = topic::split_share(path);
        let mut node = &mut self.root;
        let mut to_below = false;
        for level in filter.split('/') {
            node = match level {
                "#" => {
                    to_below = true;
                    break;
                }
                "+" => node.plus.get_or_insert_default(),
                level => node.children.entry(level.into()).or_default(),
            };
        }
        let leaf = if to_below { &mut node.below } else { &mut node.here };
        let is_new = put(leaf.members_mut(group), Entry { session: session.clone(), subscribed });
        self.count += usize::from(is_new);
        is_new
    }

    /// Removes a session's subscription. Whether there was one.
    pub fn remove(&mut self, path: &str, session: &Session) -> bool {
        let (group, filter) = topic::split_share(path);
        let removed = self.root.remove(filter.split('/'), group, session.number);
        self.count -= usize::from(removed);
        removed
    }

    /// Finds what matches a topic name.
    pub fn matches(&self, topic: &str) -> Matches<'_> {
        let mut found = Matches::default();
        if self.count == 0 {
            return found;
        }
        let mut levels = topic.split('/');
        if topic.starts_with('$') {
            // [MQTT-4.7.2-1]: only filters that name the first level match.
            let first = levels.next().and_then(|first| self.root.children.get(first));
            if let Some(node) = first {
                node.find(levels, &mut found);
            }
        } else {
            self.root.find(levels, &mut found);
        }
        found
    }
}

fn put(entries: &mut Vec<Entry>, entry: Entry) -> bool {
    if let Some(old) = entries.iter_mut().find(|old| old.session.number == entry.session.number) {
        *old = entry;
        return false;
    }
    entries.push(entry);
    true
}

impl Leaf {
    fn members_mut(&mut self, group: Option<&str>) -> &mut Vec<Entry> {
        let Some(name) = group else { return &mut self.entries };
        let known = self.groups.iter().position(|group| &*group.name == name);
        let index = known.unwrap_or_else(|| {
            let name = name.into();
            self.groups.push(Group { name, members: Vec::new(), turn: AtomicUsize::new(0) });
            self.groups.len() - 1
        });
        &mut self.groups[index].members
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.groups.is_empty()
    }

    fn collect<'a>(&'a self, found: &mut Matches<'a>) {
        found.entries.extend(&self.entries);
        found.groups.extend(&self.groups);
    }

    fn remove(&mut self, group: Option<&str>, number: u64) -> bool {
        let members = self.members_mut(group);
        let before = members.len();
        members.retain(|entry| entry.session.number != number);
        let removed = members.len() < before;
        members.shrink_to_fit();
        self.groups.retain(|group| !group.members.is_empty());
        removed
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.plus.is_none()
            && self.here.is_empty()
            && self.below.is_empty()
    }

    // Each node is visited at most once, and the depth is bounded by `topic::LEVELS_MAX`.
    fn find<'a>(&'a self, mut levels: std::str::Split<'_, char>, found: &mut Matches<'a>) {
        self.below.collect(found);
        let Some(level) = levels.next() else {
            self.here.collect(found);
            return;
        };
        if let Some(plus) = &self.plus {
            plus.find(levels.clone(), found);
        }
        if let Some(child) = self.children.get(level) {
            child.find(levels, found);
        }
    }

    /// Removes, and takes away nodes that have become empty, so that memory follows use.
    fn remove(
        &mut self,
        mut levels: std::str::Split<'_, char>,
        group: Option<&str>,
        number: u64,
    ) -> bool {
        match levels.next() {
            None => self.here.remove(group, number),
            Some("#") => self.below.remove(group, number),
            Some("+") => {
                let Some(plus) = &mut self.plus else { return false };
                let removed = plus.remove(levels, group, number);
                if plus.is_empty() {
                    self.plus = None;
                }
                removed
            }
            Some(level) => {
                let Some(child) = self.children.get_mut(level) else { return false };
                let removed = child.remove(levels, group, number);
                if child.is_empty() {
                    self.children.remove(level);
                }
                removed
            }
        }
    }
}
