//! What can be asked of a list, declared once for each resource. From it come the reading of the query, the
//! words of its errors, and the parameters in the OpenAPI document.

use std::marker::PhantomData;

use gatepost_app::{
    Caller,
    lists::{Direction, ListRequest, MAX_PAGE_BYTES, Size, SortKey},
};
use gatepost_contract::{Contract, Paging};
use gatepost_kernel::{Page, PageRequest, TimeRange, Timestamp, Window, text};
use gatepost_keys::Scope;
use serde::Serialize;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use crate::{
    body::Members,
    query::{NoQuery, Param, Parameter, Parameters, Query, ReadQuery, parameter},
    values::Whole,
    views::View,
};

/// The longest text that can be searched for.
const MAX_SEARCH_CHARS: usize = 200;

/// What can be asked of the list of a resource, beside what its view and its filters say.
#[derive(Clone, Copy)]
pub struct Description {
    /// What the rows can be sorted by.
    pub sorts: &'static [SortKey],
    /// How they are sorted if nothing is asked.
    pub default_sort: &'static str,
    /// Whether they say when they were last changed.
    pub has_updated_at: bool,
    /// What is searched for words, in words; nothing if it cannot be searched.
    pub searched: Option<&'static str>,
    /// The member that can be large.
    pub content: Option<Content>,
    /// The most bytes of what else is large in a row, which is read whatever is asked for.
    pub row_bytes: u64,
    /// Whether rows are only ever added: then the list can be followed by cursor.
    pub is_log: bool,
}

impl Description {
    /// A list of what can be changed, the oldest first.
    pub const fn of_changing(sorts: &'static [SortKey]) -> Self {
        let (searched, content) = (None, None);
        Self {
            sorts,
            default_sort: "created_at",
            has_updated_at: true,
            searched,
            content,
            row_bytes: 0,
            is_log: false,
        }
    }

    /// A list to which rows are only ever added, the newest first.
    pub const fn of_log(sorts: &'static [SortKey]) -> Self {
        let log = Self::of_changing(sorts);
        Self { default_sort: "-created_at", has_updated_at: false, is_log: true, ..log }
    }
}

/// What can be large in a row.
#[derive(Clone, Copy)]
pub struct Content {
    /// The member.
    pub name: &'static str,
    /// The most bytes that it has.
    pub most_bytes: u64,
}

/// A view whose rows are listed.
pub trait Listed: View + Serialize + Send + 'static {
    /// What they can be filtered by, beside their time.
    type Filters: ReadQuery + Send;

    /// Sorting, searching and paging.
    const LIST: Description;
}

/// What can be asked of a list and of one of its rows, as a value: for what a view says of itself, and for
/// what is declared.
#[derive(Clone)]
pub struct Options {
    /// The members of a row, but for those that are there only if they are asked for.
    pub members: &'static [&'static str],
    /// Members that are there only if they are asked for.
    pub includes: Vec<Include>,
    /// What else can be asked.
    pub list: Description,
}

/// A member that is there only if it is asked for.
#[derive(Clone)]
pub struct Include {
    /// Name of the member.
    pub name: &'static str,
    /// What reading it takes.
    pub scope: &'static Scope,
    /// What it is, for the document.
    pub about: &'static str,
}

impl Options {
    /// What can be asked of the rows of a view.
    fn of<R: Listed>() -> Self {
        let include = |included: &crate::views::Included| Include {
            name: included.name,
            scope: (included.scope)(),
            about: included.about,
        };
        let includes = R::INCLUDED.iter().map(include).collect();
        Self { members: R::MEMBERS, includes, list: R::LIST }
    }

    /// The names of what can be included.
    fn include_names(&self) -> Vec<&'static str> {
        self.includes.iter().map(|include| include.name).collect()
    }

    /// `name`, or `-name` for descending order.
    fn sort_word(&self, word: &str) -> Option<(SortKey, Direction)> {
        let (name, direction) = match word.strip_prefix('-') {
            Some(name) => (name, Direction::Descending),
            None => (word, Direction::Ascending),
        };
        self.list.sorts.iter().find(|key| key.name == name).map(|key| (*key, direction))
    }
}

/// Which page, by the parameters that the contract has for it, of what passes the filters.
pub struct PageQuery<F = NoQuery> {
    /// What it is filtered by.
    pub filters: F,
    request: PageRequest,
}

impl<F: ReadQuery> Query for PageQuery<F> {}

impl<F: ReadQuery> ReadQuery for PageQuery<F> {
    fn parameters(contract: &Contract) -> Vec<Parameter> {
        let number = |low: u32, high: u32, default: u32| json!({ "type": "integer", "format": "int32", "minimum": low, "maximum": high, "default": default });
        let (about, position) = match contract.paging {
            Paging::Pages | Paging::ShortPages => {
                ("Number of the page to return", number(1, PageRequest::MAX_PAGE, 1))
            }
            Paging::Offset => {
                ("Number of items to leave out before the page", number(0, PageRequest::MAX_OFFSET, 0))
            }
        };
        let size = number(1, PageRequest::MAX_PER_PAGE, contract.default_per_page);
        let page = [
            parameter(contract.paging.position_name(), about, position, false),
            parameter(contract.paging.size_name(), "Number of items per page", size, false),
        ];
        F::parameters(contract).into_iter().chain(page).collect()
    }

    fn read(parameters: &mut Parameters) -> Option<Self> {
        type Size = Whole<u32, 1, { PageRequest::MAX_PER_PAGE as i64 }>;
        let (paging, default) = (parameters.paging, parameters.default_per_page);
        let request = match paging {
            Paging::Pages | Paging::ShortPages => {
                let page = Whole::<u32, 1, { PageRequest::MAX_PAGE as i64 }>::read(
                    parameters,
                    paging.position_name(),
                );
                let per_page = <Size as Param>::read(parameters, paging.size_name()).unwrap_or(default);
                PageRequest::of_page(page.unwrap_or(1), per_page)
            }
            Paging::Offset => {
                let offset = Whole::<u64, 0, { PageRequest::MAX_OFFSET as i64 }>::read(
                    parameters,
                    paging.position_name(),
                );
                let per_page = <Size as Param>::read(parameters, paging.size_name()).unwrap_or(default);
                PageRequest { offset: offset.unwrap_or(0), per_page }
            }
        };
        Some(Self { filters: F::read(parameters)?, request })
    }
}

impl<F> PageQuery<F> {
    /// One page of all items, for what is not in the database and of which there is little.
    pub fn slice<T>(&self, items: Vec<T>) -> Page<T> {
        let (request, total) = (self.request, items.len() as u64);
        let (offset, limit) =
            (usize::try_from(request.offset).unwrap_or(usize::MAX), request.per_page as usize);
        let items = items.into_iter().skip(offset).take(limit);
        let window = Window::Page(request);
        Page { items: items.collect(), window, total: Some(total), next: None, fitting: None }
    }
}

/// What is taken to be included with a row: a workspace's settings, or the answers to ten deliveries, have
/// seldom more.
const INCLUDED_BYTES: u64 = 256 << 10;

/// How often a page is held on its way: as it is read, apart as members, as they are shown, as rows are written,
/// and as it is sent.
const TIMES_HELD: u64 = 5;

/// What is shown of a row.
#[derive(Clone)]
pub struct Shape {
    fields: Option<Vec<&'static str>>,
    includes: Vec<&'static str>,
    /// What it takes to read what is included.
    scopes: Vec<&'static Scope>,
    /// The member that can be large.
    content: Option<Content>,
    row_bytes: u64,
}

impl Shape {
    /// What a query says of it.
    pub fn read(parameters: &mut Parameters, options: &Options) -> Self {
        let members = options.members;
        let fields = parameters.words(
            "fields",
            |word| members.iter().copied().find(|field| *field == word),
            || members.join(", "),
        );
        let known = options.include_names();
        let includes = match known.is_empty() {
            true => None,
            false => parameters.words(
                "include",
                |word| known.iter().copied().find(|include| *include == word),
                || known.join(", "),
            ),
        };
        let includes = includes.unwrap_or_default();
        let included = options.includes.iter().filter(|include| includes.contains(&include.name));
        let scopes = included.map(|include| include.scope).collect();
        let Description { content, row_bytes, .. } = options.list;
        Self { fields, includes, scopes, content, row_bytes }
    }

    /// What is to be shown beside a row.
    pub fn included(&self) -> &[&'static str] {
        &self.includes
    }

    fn includes(&self, name: &str) -> bool {
        self.includes.contains(&name)
    }

    fn shows(&self, member: &str) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.contains(&member))
    }

    /// How many bytes so many rows may take while they are read, rendered and sent.
    pub fn most_bytes(&self, rows: u64) -> u64 {
        let content = self.content.as_ref().filter(|content| self.shows(content.name));
        let own = content.map_or(0, |content| content.most_bytes) + self.row_bytes;
        let included = if self.includes_any() { INCLUDED_BYTES } else { 0 };
        TIMES_HELD * (rows * (own + included)).min(MAX_PAGE_BYTES)
    }

    /// Whether anything is shown beside the rows.
    pub fn includes_any(&self) -> bool {
        !self.includes.is_empty()
    }

    /// A row with what was asked for of it, in the order that it has anyway; the id and what was included are
    /// always there.
    pub fn apply<T: Serialize>(&self, row: &T) -> gatepost_kernel::Result<Box<RawValue>> {
        let row = to_raw_value(row).map_err(gatepost_kernel::Error::failed("rendering an answer"))?;
        let Some(fields) = &self.fields else { return Ok(row) };
        let mut members: Members<'_> =
            serde_json::from_str(row.get()).map_err(gatepost_kernel::Error::failed("rendering an answer"))?;
        members.retain(|name| name == "id" || fields.contains(&name) || self.includes(name));
        to_raw_value(&members).map_err(gatepost_kernel::Error::failed("rendering an answer"))
    }

    /// Whether the caller may see it.
    pub fn check(&self, caller: &Caller) -> gatepost_kernel::Result<()> {
        self.scopes.iter().try_for_each(|scope| caller.require(scope))
    }
}

/// What is asked of a list, whatever it is filtered by.
pub struct Asked {
    shape: Shape,
    request: ListRequest,
    cursor: Option<String>,
    list: Description,
}

impl Asked {
    /// What was asked of it, but for the cursor.
    pub fn request(&self) -> &ListRequest {
        &self.request
    }

    /// The cursor.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// What is shown of a row.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What can be asked of the list.
    pub fn list(&self) -> &Description {
        &self.list
    }

    /// Whether the caller may ask for it.
    pub fn check(&self, caller: &Caller) -> gatepost_kernel::Result<()> {
        self.shape.check(caller)
    }

    /// How many bytes the answer may take.
    pub fn most_bytes(&self) -> u64 {
        self.shape.most_bytes(self.request.window.per_page().into())
    }

    /// The parameters that a list has, with those of its filters.
    pub fn parameters(contract: &Contract, options: &Options, filters: Vec<Parameter>) -> Vec<Parameter> {
        let list = &options.list;
        let mut parameters = PageQuery::<NoQuery>::parameters(contract);
        if list.is_log {
            let position = contract.paging.position_name();
            let about = format!(
                "Cursor of the page to return: `next_cursor` of the page before. No item is returned twice or left out, however many are \
                 added meanwhile. Not together with `{position}`"
            );
            parameters.push(parameter(
                "cursor",
                &about,
                json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" }),
                false,
            ));
        }
        let sorts: Vec<&str> = list.sorts.iter().map(|key| key.name).collect();
        let about = format!(
            "Members to sort by, separated by commas, with `-` in front for descending order: `{}`. `{}` if not given; ties are \
             broken by id",
            sorts.join("`, `"),
            list.default_sort
        );
        parameters.push(parameter("sort", &about, word_list(&sorts, "-?"), false));
        parameters.extend(filters);
        let mut ranges = vec![
            ("created_after", "Return only items created at or after this time"),
            ("created_before", "Return only items created at or before this time"),
        ];
        if list.has_updated_at {
            ranges.extend([
                ("updated_after", "Return only items last changed at or after this time"),
                ("updated_before", "Return only items last changed at or before this time"),
            ]);
        }
        for (name, about) in ranges {
            let about = format!("{about}; a date alone means all of its day");
            parameters.push(parameter(
                name,
                &about,
                json!({ "type": "string", "format": "date-time" }),
                false,
            ));
        }
        if let Some(searched) = list.searched {
            let about =
                format!("Search for words, or beginnings of words, in {searched}; case does not matter");
            parameters.push(parameter(
                "search",
                &about,
                json!({ "type": "string", "minLength": 1, "maxLength": MAX_SEARCH_CHARS }),
                false,
            ));
        }
        parameters.extend(shape_parameters(options));
        parameters
    }

    /// What a query says, and what `filters` makes of the rest of it.
    pub fn read<F>(
        parameters: &mut Parameters,
        options: &Options,
        filters: impl FnOnce(&mut Parameters) -> Option<F>,
    ) -> Option<(F, Self)> {
        let list = options.list;
        let position = parameters.paging.position_name();
        let pages = parameters.has(position);
        let page = PageQuery::<NoQuery>::read(parameters).map(|query| query.request).unwrap_or_default();
        let cursor = list.is_log.then(|| parameters.any_text("cursor")).flatten();
        if cursor.is_some() && pages {
            parameters.error("cursor", format!("The cursor cannot be combined with {position}."));
        }
        let sort = parameters.words(
            "sort",
            |word| options.sort_word(word),
            || {
                let names: Vec<&str> = list.sorts.iter().map(|key| key.name).collect();
                format!("{}, each with - in front for descending order", names.join(", "))
            },
        );
        let mut order: Vec<(SortKey, Direction)> =
            sort.unwrap_or_else(|| options.sort_word(list.default_sort).into_iter().collect());
        // The second time, whatever the direction, a key sorts nothing any more.
        let mut seen = Vec::new();
        order.retain(|(key, _)| {
            !seen.contains(&key.name) && {
                seen.push(key.name);
                true
            }
        });
        let filters = filters(parameters);
        let created = TimeRange {
            from: instant(parameters, "created_after"),
            to: last_instant(parameters, "created_before"),
        };
        let updated = match list.has_updated_at {
            true => TimeRange {
                from: instant(parameters, "updated_after"),
                to: last_instant(parameters, "updated_before"),
            },
            false => TimeRange::default(),
        };
        let search =
            list.searched.and_then(|_| parameters.text("search", words, "a text of 1 to 200 characters"));
        let shape = Shape::read(parameters, options);
        // A page that was asked for by number must be whole: the next number would leave out what was cut.
        let size = if list.is_log && !pages { Size::Cut } else { Size::Refused };
        let without_content = list.content.as_ref().is_some_and(|content| !shape.shows(content.name));
        let window = Window::Page(page);
        let request = ListRequest { order, created, updated, search, window, size, without_content };
        Some((filters?, Self { shape, request, cursor, list }))
    }
}

/// The query of a list.
pub trait AsksList: Query {
    /// What is asked of it, whatever it is filtered by.
    fn asked(&self) -> &Asked;
}

/// The query of a list of views.
pub struct ListQuery<R: Listed> {
    /// What it is filtered by.
    pub filters: R::Filters,
    asked: Asked,
}

impl<R: Listed> ListQuery<R> {
    /// Whether something is to be shown beside the rows.
    pub fn includes(&self, name: &str) -> bool {
        self.asked.shape.includes(name)
    }
}

impl<R: Listed> AsksList for ListQuery<R> {
    fn asked(&self) -> &Asked {
        &self.asked
    }
}

impl<R: Listed> Query for ListQuery<R> {
    fn check(&self, caller: &Caller) -> gatepost_kernel::Result<()> {
        self.asked.check(caller)
    }

    fn most_bytes(&self) -> u64 {
        self.asked.most_bytes()
    }
}

impl<R: Listed> ReadQuery for ListQuery<R> {
    fn parameters(contract: &Contract) -> Vec<Parameter> {
        Asked::parameters(contract, &Options::of::<R>(), R::Filters::parameters(contract))
    }

    fn read(parameters: &mut Parameters) -> Option<Self> {
        let (filters, asked) = Asked::read(parameters, &Options::of::<R>(), R::Filters::read)?;
        Some(Self { filters, asked })
    }
}

/// The query of one thing.
pub struct ItemQuery<R> {
    shape: Shape,
    list: PhantomData<R>,
}

impl<R> ItemQuery<R> {
    /// What is shown of it.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Whether something is to be shown beside it.
    pub fn includes(&self, name: &str) -> bool {
        self.shape.includes(name)
    }
}

impl<R: Listed> Query for ItemQuery<R> {
    fn check(&self, caller: &Caller) -> gatepost_kernel::Result<()> {
        self.shape.check(caller)
    }

    fn most_bytes(&self) -> u64 {
        self.shape.most_bytes(1)
    }
}

impl<R: Listed> ReadQuery for ItemQuery<R> {
    fn parameters(_: &Contract) -> Vec<Parameter> {
        shape_parameters(&Options::of::<R>())
    }

    fn read(parameters: &mut Parameters) -> Option<Self> {
        Some(Self { shape: Shape::read(parameters, &Options::of::<R>()), list: PhantomData })
    }
}

const INSTANT: &str = "a date or a date-time such as 2026-01-15T10:30:00Z";

/// An instant.
pub fn instant(parameters: &mut Parameters, name: &'static str) -> Option<Timestamp> {
    parameters.text(name, parse_instant, INSTANT)
}

/// The last instant of a time: a date alone means all of its day.
pub fn last_instant(parameters: &mut Parameters, name: &'static str) -> Option<Timestamp> {
    const DAY_MICROS: i64 = 86_400_000_000;
    let last = |text: &str| {
        let at = parse_instant(text)?;
        let is_date = !text.contains(['T', 't']);
        Some(if is_date { Timestamp::from_micros(at.as_micros() + DAY_MICROS - 1) } else { at })
    };
    parameters.text(name, last, INSTANT)
}

fn parse_instant(text: &str) -> Option<Timestamp> {
    // The + of an offset is a blank in a query unless it is escaped; there is no other blank in an instant.
    Timestamp::parse(text).or_else(|| Timestamp::parse(&text.replace(' ', "+")))
}

/// The words of a search; none if there is neither a letter nor a digit, which nothing holds then.
fn words(text: &str) -> Option<Vec<String>> {
    let text = text::composed(text);
    (1..=MAX_SEARCH_CHARS).contains(&text.chars().count()).then(|| text::words(&text).collect())
}

/// The parameters that say what is shown of a row.
pub fn shape_parameters(options: &Options) -> Vec<Parameter> {
    let about = "Members to return, separated by commas; `id` is always returned. All if not given";
    let mut parameters = vec![parameter("fields", about, word_list(options.members, ""), false)];
    if !options.includes.is_empty() {
        let each: Vec<String> = options
            .includes
            .iter()
            .map(|include| format!("`{}` ({})", include.name, include.about))
            .collect();
        let about = format!("Related objects to include, separated by commas: {}", each.join(", "));
        parameters.push(parameter("include", &about, word_list(&options.include_names(), ""), false));
    }
    parameters
}

fn word_list(words: &[&str], before: &str) -> Value {
    let one = format!("{before}({})", words.join("|"));
    json!({ "type": "string", "pattern": format!("^{one}(,{one})*$") })
}
