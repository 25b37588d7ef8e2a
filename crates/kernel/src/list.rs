//! Lists: which part of one is asked for, and what is answered.

use crate::Timestamp;

/// Which page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// How many rows come before this page.
    pub offset: u64,
    /// From 1 to [`PageRequest::MAX_PER_PAGE`].
    pub per_page: u32,
}

impl PageRequest {
    /// What a caller gets who does not ask.
    pub const DEFAULT_PER_PAGE: u32 = 25;
    /// The last page that can be asked for: what fits the integers of every language.
    pub const MAX_PAGE: u32 = i32::MAX as u32;
    /// The most rows that a caller can ask for.
    pub const MAX_PER_PAGE: u32 = 100;

    /// The largest offset that can be asked for, for the same reason.
    pub const MAX_OFFSET: u32 = i32::MAX as u32;

    /// The page with this number, from 1.
    pub fn of_page(page: u32, per_page: u32) -> Self {
        Self { offset: u64::from(page.saturating_sub(1)) * u64::from(per_page), per_page }
    }

    /// The number of the page, from 1.
    pub fn page(self) -> u64 {
        self.offset / u64::from(self.per_page.max(1)) + 1
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { offset: 0, per_page: Self::DEFAULT_PER_PAGE }
    }
}

/// Where a row of a log stands: logs are in the order of their rows' instants, and of their numbers where
/// these are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The row's instant.
    pub at: Timestamp,
    /// The row's number.
    pub id: i64,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// A page by number; all rows are counted.
    Page(PageRequest),
    /// What follows a row of a log, however many rows have come meanwhile; nothing is counted.
    After {
        /// The row.
        position: Position,
        /// At most so many.
        per_page: u32,
    },
}

impl Window {
    /// How many rows it can hold.
    pub fn per_page(self) -> u32 {
        match self {
            Self::Page(page) => page.per_page,
            Self::After { per_page, .. } => per_page,
        }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::Page(PageRequest::default())
    }
}

/// From when to when, both included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// Not before this.
    pub from: Option<Timestamp>,
    /// Not after this.
    pub to: Option<Timestamp>,
}

/// One page of a list, with what is needed to find the others.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows of this page.
    pub items: Vec<T>,
    /// What was asked for.
    pub window: Window,
    /// All rows of the list; none if they were not counted.
    pub total: Option<u64>,
    /// In a log: the last row of this page, if others follow it.
    pub next: Option<Position>,
    /// How many rows fit, where not all that were asked for did.
    pub fitting: Option<u32>,
}

impl<T> Page<T> {
    /// A page of a list that has no rows at all.
    pub fn empty(window: Window) -> Self {
        let total = matches!(window, Window::Page(_)).then_some(0);
        Self { items: Vec::new(), window, total, next: None, fitting: None }
    }

    /// The number of the last page, 1 for an empty list; none if the rows were not counted.
    pub fn last_page(&self) -> Option<u64> {
        self.total.map(|total| total.div_ceil(u64::from(self.window.per_page())).max(1))
    }

    /// The same page of something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        let Self { items, window, total, next, fitting } = self;
        Page { items: items.into_iter().map(f).collect(), window, total, next, fitting }
    }

    /// The same page of something else, if each of its rows can be that.
    ///
    /// # Errors
    /// The first that `f` answers.
    pub fn try_map<U, E>(self, f: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        let Self { items, window, total, next, fitting } = self;
        Ok(Page { items: items.into_iter().map(f).collect::<Result<_, _>>()?, window, total, next, fitting })
    }
}
