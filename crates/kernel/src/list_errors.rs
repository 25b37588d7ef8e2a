//! What is wrong with a list that somebody wrote, item by item, so that all of it is told at once.

use std::fmt;

/// What is wrong with an item of a list, or with the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError {
    /// Index of the item, counted from 0; none if it is the whole list.
    pub index: Option<usize>,
    /// A sentence.
    pub text: String,
}

/// All that is wrong with a list, in the order of its items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListErrors(Vec<ItemError>);

impl ListErrors {
    /// The list itself is wrong.
    pub fn of_list(text: impl Into<String>) -> Self {
        Self(vec![ItemError { index: None, text: text.into() }])
    }

    /// An item is wrong too.
    pub fn add(&mut self, index: usize, text: impl Into<String>) {
        self.0.push(ItemError { index: Some(index), text: text.into() });
    }

    /// What was made of the list, if nothing is wrong.
    ///
    /// # Errors
    /// What is.
    pub fn none_or<T>(self, made: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(made) } else { Err(self) }
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = &ItemError> {
        self.0.iter()
    }
}

impl IntoIterator for ListErrors {
    type Item = ItemError;
    type IntoIter = std::vec::IntoIter<ItemError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for ListErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, ItemError { index, text }) in self.0.iter().enumerate() {
            let gap = if number > 0 { " " } else { "" };
            match index {
                Some(index) => write!(f, "{gap}Item {index}: {text}")?,
                None => write!(f, "{gap}{text}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ListErrors {}
