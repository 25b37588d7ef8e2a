//! Pages by number, as the core contract has them.

/// Which page of a list: `page` from 1, `per_page` from 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// From 1.
    pub page: u32,
    /// From 1 to [`PageRequest::MAX_PER_PAGE`].
    pub per_page: u32,
}

impl PageRequest {
    /// What a caller gets who does not ask.
    pub const DEFAULT_PER_PAGE: u32 = 25;
    /// The most that a caller can ask for.
    pub const MAX_PER_PAGE: u32 = 100;

    /// How many rows come before this page.
    pub fn offset(self) -> i64 {
        i64::from(self.page - 1) * i64::from(self.per_page)
    }

    /// How many rows this page can hold.
    pub fn limit(self) -> i64 {
        i64::from(self.per_page)
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { page: 1, per_page: Self::DEFAULT_PER_PAGE }
    }
}

/// One page of a list, with what is needed to find the others.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows of this page.
    pub items: Vec<T>,
    /// The page that was asked for.
    pub request: PageRequest,
    /// All rows of the list.
    pub total: u64,
}

impl<T> Page<T> {
    /// The number of the last page; 1 for an empty list.
    pub fn last_page(&self) -> u64 {
        self.total.div_ceil(u64::from(self.request.per_page)).max(1)
    }

    /// The same page of something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), request: self.request, total: self.total }
    }

    /// The same page of something else, if each of its rows can be that.
    ///
    /// # Errors
    /// The first that `f` answers.
    pub fn try_map<U, E>(self, f: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        let items = self.items.into_iter().map(f).collect::<Result<_, _>>()?;
        Ok(Page { items, request: self.request, total: self.total })
    }
}
