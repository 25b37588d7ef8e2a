//! Records of declared resources.

use std::collections::BTreeSet;

use gatepost_kernel::{
    Environment, JsonObject, Owner, PageRequest, Position, RecordId, ResourceTypeId, TimeRange, Window,
    WorkspaceId,
};
use gatepost_resources::{Column, FieldPlace, Marks, Record, SEARCH_FIELD, Slots};
use gatepost_storage::{
    Direction, KnownType, ListRequest, NewRecord, RecordFilter, RecordSet, Result, Size, StorageError, Tx,
    record_sort,
};
use gatepost_test_support::both_engines;

use super::{Db, at};

both_engines! { Db:
    types_keep_the_places_of_their_fields,
    a_record_lives_by_its_owner,
    what_is_unique_is_taken_once,
    of_two_at_once_one_wins,
    lists_are_what_they_would_be_in_memory,
    long_lists_too,
    a_log_is_followed_while_it_grows,
    a_page_is_not_larger_than_it_may_be,
}

/// Numbers of fields that are unique, and lists.
const EMAIL: i64 = 1;
const TAGS: i64 = 2;

fn set(type_id: i64, workspace: i64, environment: Environment) -> RecordSet {
    RecordSet { type_id: ResourceTypeId(type_id), owner: Owner::new(WorkspaceId(workspace), environment) }
}

fn live(type_id: i64) -> RecordSet {
    set(type_id, 1, Environment::Live)
}

fn object(json: &str) -> JsonObject {
    JsonObject::from_text(json).expect("an object")
}

fn marks(numbered: &[(i64, &str)]) -> BTreeSet<(i64, String)> {
    numbered.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
}

fn new(set: RecordSet, id: &str) -> NewRecord {
    NewRecord {
        set,
        public_id: id.to_owned(),
        data: object("{}"),
        slots: Slots::default(),
        marks: Marks::default(),
        created_at: at(0),
    }
}

impl Db {
    async fn keep(&self, new: NewRecord) -> std::result::Result<Record, i64> {
        let insert = async move |mut tx: Tx<'_>| tx.record_insert(&new).await;
        self.storage.transaction::<_, StorageError, _>(insert).await.expect("the database answers")
    }

    async fn record(&self, set: RecordSet, id: &str) -> Option<Record> {
        let id = id.to_owned();
        let get = async move |mut tx: Tx<'_>| tx.record_get(set, &id).await;
        self.storage.read::<_, StorageError, _>(get).await.expect("the database answers")
    }

    async fn list(
        &self,
        set: RecordSet,
        filters: Vec<RecordFilter>,
        request: ListRequest,
    ) -> gatepost_kernel::Page<Record> {
        let list = async move |mut tx: Tx<'_>| tx.record_list(set, &filters, &request).await;
        self.storage.read_snapshot::<_, StorageError, _>(list).await.expect("the database answers")
    }
}

async fn types_keep_the_places_of_their_fields(db: Db) {
    let place = |name: &str, number, column| FieldPlace { name: name.to_owned(), number, column };
    let places = vec![place("name", 1, Some((Column::Text, 0))), place("email", 2, None)];
    let noted = places.clone();
    let note = async move |mut tx: Tx<'_>| {
        let id = tx.resource_type_insert("lead").await?;
        tx.resource_type_insert("post").await?;
        tx.resource_type_set(id, "v1", &noted).await?;
        Ok(id)
    };
    let id = db.storage.transaction::<_, StorageError, _>(note).await.expect("noted");
    let all = async |mut tx: Tx<'_>| tx.resource_type_all().await;
    let known = db.storage.read::<_, StorageError, _>(all).await.expect("known");
    let lead = KnownType { id, name: "lead".to_owned(), declaration: "v1".to_owned(), places };
    assert_eq!(known[0], lead);
    assert_eq!(
        (known[1].name.as_str(), known[1].declaration.as_str(), known[1].places.len()),
        ("post", "", 0)
    );
    // A field that gets a column keeps its number.
    let places =
        vec![place("email", 2, Some((Column::Text, 1))), place("score", 3, Some((Column::Number, 0)))];
    let note = async move |mut tx: Tx<'_>| tx.resource_type_set(id, "v2", &places).await;
    db.storage.transaction::<_, StorageError, _>(note).await.expect("noted");
    let known = db.storage.read::<_, StorageError, _>(all).await.expect("known");
    let expected = [
        place("name", 1, Some((Column::Text, 0))),
        place("email", 2, Some((Column::Text, 1))),
        place("score", 3, Some((Column::Number, 0))),
    ];
    assert_eq!(known[0].places, expected);
}

async fn a_record_lives_by_its_owner(db: Db) {
    let own = live(1);
    let written = r#"{"amount":1.50,"name":"Ada","big":12345678901234567890}"#;
    let kept =
        db.keep(NewRecord { data: object(written), ..new(own, "lead_a") }).await.expect("nothing is taken");
    assert_eq!((kept.public_id.as_str(), kept.created_at, kept.updated_at), ("lead_a", at(0), at(0)));
    let found = db.record(own, "lead_a").await.expect("it is there");
    assert_eq!(serde_json::to_string(&found.data).expect("JSON"), written, "digit by digit");
    let others = [live(2), set(1, 2, Environment::Live), set(1, 1, Environment::Test)];
    for other in others {
        assert_eq!(db.record(other, "lead_a").await, None, "{other:?}");
    }
    let change = async move |mut tx: Tx<'_>| {
        let record = tx.record_lock(own, "lead_a").await?.expect("it is there");
        assert!(tx.record_keep(own, "lead_a").await?.is_some());
        assert!(tx.record_lock(others[1], "lead_a").await?.is_none());
        let (data, none) = (object(r#"{"name":"Bea"}"#), Marks::default());
        tx.record_update(own, record.id, (&data, &Slots::default()), (&none, &none), at(5)).await
    };
    let changed = db
        .storage
        .transaction::<_, StorageError, _>(change)
        .await
        .expect("changed")
        .expect("nothing is taken");
    assert_eq!((changed.id, changed.created_at, changed.updated_at), (kept.id, at(0), at(5)));
    assert_eq!(db.record(own, "lead_a").await, Some(changed.clone()));
    let delete = async move |mut tx: Tx<'_>| tx.record_delete(own, &[(changed.id, Marks::default())]).await;
    db.storage.transaction::<_, StorageError, _>(delete).await.expect("deleted");
    assert_eq!(db.record(own, "lead_a").await, None);
    let next = db.keep(new(own, "lead_b")).await.expect("nothing is taken");
    assert!(next.id > kept.id, "an inner number is never used again");
}

async fn what_is_unique_is_taken_once(db: Db) {
    let own = live(1);
    let with = |set, id: &str, email: &str| {
        let marks =
            Marks { keys: marks(&[(EMAIL, email)]), items: marks(&[(TAGS, "vip"), (SEARCH_FIELD, "ada")]) };
        NewRecord { marks, ..new(set, id) }
    };
    let first = db.keep(with(own, "lead_a", "ada@x.test")).await.expect("it is free");
    for elsewhere in [live(2), set(1, 2, Environment::Live), set(1, 1, Environment::Test)] {
        let id = format!(
            "lead_{}{}{}",
            elsewhere.type_id.0, elsewhere.owner.workspace_id.0, elsewhere.owner.environment
        );
        db.keep(with(elsewhere, &id, "ada@x.test")).await.expect("it is free there");
    }
    // Whoever is refused undoes the rest.
    let taken = with(own, "lead_b", "ada@x.test");
    let refused = async move |mut tx: Tx<'_>| match tx.record_insert(&taken).await? {
        Err(EMAIL) => Err(StorageError::Duplicate("email".to_owned())),
        other => Ok(other),
    };
    let refused = db.storage.transaction::<_, StorageError, _>(refused).await;
    assert!(matches!(refused, Err(StorageError::Duplicate(_))), "{refused:?}");
    assert_eq!(db.record(own, "lead_b").await, None);
    let found = |email: &str| vec![RecordFilter::Key(EMAIL, vec![email.to_owned()])];
    assert_eq!(
        db.list(own, found("ada@x.test"), ListRequest::default()).await.items,
        std::slice::from_ref(&first)
    );
    // What is given up is free.
    let change = async move |mut tx: Tx<'_>| {
        let before = Marks {
            keys: marks(&[(EMAIL, "ada@x.test")]),
            items: marks(&[(TAGS, "vip"), (SEARCH_FIELD, "ada")]),
        };
        let after = Marks { keys: marks(&[(EMAIL, "bea@x.test")]), items: marks(&[(TAGS, "eu")]) };
        tx.record_update(own, first.id, (&object("{}"), &Slots::default()), (&before, &after), at(1)).await
    };
    db.storage.transaction::<_, StorageError, _>(change).await.expect("changed").expect("it is free");
    let second = db.keep(with(own, "lead_b", "ada@x.test")).await.expect("it is free again");
    let tagged = |tag: &str| vec![RecordFilter::Item(TAGS, vec![tag.to_owned()])];
    let ids = async |filters| -> Vec<String> {
        db.list(own, filters, ListRequest::default())
            .await
            .items
            .into_iter()
            .map(|record| record.public_id)
            .collect()
    };
    assert_eq!(ids(tagged("vip")).await, ["lead_b"]);
    assert_eq!(ids(tagged("eu")).await, ["lead_a"]);
    assert_eq!(ids(vec![RecordFilter::Words(vec!["ad".to_owned()])]).await, ["lead_b"]);
    let delete = async move |mut tx: Tx<'_>| {
        let found = Marks {
            keys: marks(&[(EMAIL, "ada@x.test")]),
            items: marks(&[(TAGS, "vip"), (SEARCH_FIELD, "ada")]),
        };
        tx.record_delete(own, &[(second.id, found)]).await
    };
    db.storage.transaction::<_, StorageError, _>(delete).await.expect("deleted");
    assert!(ids(tagged("vip")).await.is_empty() && ids(found("ada@x.test")).await.is_empty());
    // And by nothing but the columns before it is indexed anew.
    let anew = async move |mut tx: Tx<'_>| {
        while tx.record_unmark_some(own.type_id, 1).await? == 1 {}
        let all = tx.record_each(own.type_id, RecordId(0), 10).await?;
        assert_eq!(all.len(), 3, "of all owners");
        for (owner, record) in all {
            let marks = Marks { keys: marks(&[(EMAIL, "same@x.test")]), items: BTreeSet::new() };
            let set = RecordSet { type_id: own.type_id, owner };
            assert_eq!(tx.record_index(set, record.id, &Slots::default(), &marks).await?, Ok(()));
            assert_eq!(tx.record_index(set, RecordId(0), &Slots::default(), &marks).await?, Err(EMAIL));
        }
        Ok(())
    };
    db.storage.transaction::<_, StorageError, _>(anew).await.expect("indexed");
    assert_eq!(ids(found("same@x.test")).await, ["lead_a"]);
}

async fn of_two_at_once_one_wins(db: Db) {
    let own = live(1);
    let tries = (0..16).map(|number| {
        let new = NewRecord {
            marks: Marks { keys: marks(&[(EMAIL, "ada@x.test")]), items: BTreeSet::new() },
            ..new(own, &format!("lead_{number}"))
        };
        db.keep(new)
    });
    let kept = futures_util::future::join_all(tries).await;
    assert_eq!(kept.iter().filter(|kept| kept.is_ok()).count(), 1);
    assert!(kept.iter().all(|kept| kept.is_ok() || *kept == Err(EMAIL)));
}

/// A record as a test knows it.
#[derive(Debug, Clone)]
struct Known {
    id: String,
    text: Option<String>,
    other: Option<String>,
    number: i64,
    tags: Vec<&'static str>,
}

const TAG_WORDS: [&str; 3] = ["vip", "eu", "new"];

/// A record that hangs on nothing but its number.
fn known(number: usize) -> Known {
    // Spread out, and the same at each run.
    let spread = number.wrapping_mul(2_654_435_761) % 10_007;
    Known {
        id: format!("lead_{number}"),
        text: (!spread.is_multiple_of(7)).then(|| format!("t{}", spread % 5)),
        other: Some(format!("o{:03}", spread % 97)),
        number: if spread.is_multiple_of(11) { i64::MAX } else { (spread % 50) as i64 },
        tags: TAG_WORDS
            .into_iter()
            .enumerate()
            .filter(|(at, _)| spread.is_multiple_of(at + 2))
            .map(|(_, tag)| tag)
            .collect(),
    }
}

fn row(set: RecordSet, known: &Known) -> NewRecord {
    let mut slots = Slots::default();
    slots.texts[0] = known.text.clone();
    slots.texts[7] = known.other.clone();
    slots.numbers[3] = Some(known.number);
    let items = known.tags.iter().map(|tag| (TAGS, (*tag).to_owned())).collect();
    NewRecord { slots, marks: Marks { keys: BTreeSet::new(), items }, ..new(set, &known.id) }
}

impl Db {
    async fn fill(&self, set: RecordSet, numbers: std::ops::Range<usize>) -> Vec<Known> {
        let all: Vec<Known> = numbers.map(known).collect();
        for some in all.chunks(500) {
            let rows: Vec<NewRecord> = some.iter().map(|known| row(set, known)).collect();
            let insert = async move |mut tx: Tx<'_>| -> Result<()> {
                for new in &rows {
                    tx.record_insert(new).await?.expect("nothing is taken");
                }
                Ok(())
            };
            self.storage.transaction::<_, StorageError, _>(insert).await.expect("kept");
        }
        all
    }

    /// Compares what lists say with what they would say of these records, for filters and orders of all
    /// kinds.
    async fn compare(&self, set: RecordSet, all: &[Known], pages: &[u64]) {
        let text =
            |words: &[&str]| RecordFilter::Text(0, words.iter().map(|word| (*word).to_owned()).collect());
        let other = |word: &str| RecordFilter::Text(7, vec![word.to_owned()]);
        let tagged =
            |words: &[&str]| RecordFilter::Item(TAGS, words.iter().map(|word| (*word).to_owned()).collect());
        let number = |from, to| RecordFilter::Number(3, from, to);
        let filters = [
            vec![],
            vec![text(&["t1"])],
            vec![text(&["t1", "t3"])],
            vec![text(&["none"])],
            vec![other("o013")],
            vec![number(Some(10), None)],
            vec![number(None, Some(10))],
            vec![number(Some(7), Some(7))],
            vec![tagged(&["vip"])],
            vec![tagged(&["vip", "eu"])],
            vec![text(&["t2"]), tagged(&["new"]), number(Some(5), Some(40))],
            vec![text(&["t2"]), other("o013")],
        ];
        let created = record_sort("created_at", None);
        let by_other = record_sort("other", Some((Column::Text, 7)));
        let by_number = record_sort("number", Some((Column::Number, 3)));
        for filters in filters {
            for (orders, direction) in [
                (vec![created], Direction::Ascending),
                (vec![created], Direction::Descending),
                (vec![by_other], Direction::Ascending),
                (vec![by_number], Direction::Descending),
                (vec![by_number, by_other], Direction::Ascending),
            ] {
                let mut expected: Vec<(usize, &Known)> = all
                    .iter()
                    .enumerate()
                    .filter(|(_, known)| filters.iter().all(|filter| holds(known, filter)))
                    .collect();
                expected.sort_by(|(a_at, a), (b_at, b)| {
                    let mut order = std::cmp::Ordering::Equal;
                    for key in &orders {
                        order = order.then_with(|| match key.name {
                            "other" => a.other.cmp(&b.other),
                            "number" => a.number.cmp(&b.number),
                            _ => a_at.cmp(b_at),
                        });
                    }
                    order.then(a_at.cmp(b_at))
                });
                if direction == Direction::Descending {
                    expected.reverse();
                }
                for page in pages {
                    let window = Window::Page(PageRequest { offset: page * 10, per_page: 10 });
                    let order = orders.iter().map(|key| (*key, direction)).collect();
                    let request = ListRequest { order, window, ..ListRequest::default() };
                    let found = self.list(set, filters.clone(), request).await;
                    let ids: Vec<&str> = found.items.iter().map(|record| record.public_id.as_str()).collect();
                    let (skip, about) = ((page * 10) as usize, (&filters, &orders, direction, page));
                    let wanted: Vec<&str> =
                        expected.iter().skip(skip).take(10).map(|(_, known)| known.id.as_str()).collect();
                    assert_eq!((found.total, ids), (Some(expected.len() as u64), wanted), "{about:?}");
                }
            }
        }
    }
}

fn holds(known: &Known, filter: &RecordFilter) -> bool {
    match filter {
        RecordFilter::Text(0, any) => known.text.as_ref().is_some_and(|text| any.contains(text)),
        RecordFilter::Text(_, any) => known.other.as_ref().is_some_and(|text| any.contains(text)),
        RecordFilter::Number(_, from, to) => {
            known.number != i64::MAX
                && from.is_none_or(|from| known.number >= from)
                && to.is_none_or(|to| known.number <= to)
        }
        RecordFilter::Item(_, any) => known.tags.iter().any(|tag| any.iter().any(|word| word == tag)),
        other => panic!("{other:?} is not asked"),
    }
}

async fn lists_are_what_they_would_be_in_memory(db: Db) {
    let own = live(1);
    // Rows of other types and owners lie between them.
    let mut all = Vec::new();
    for part in 0..4 {
        all.extend(db.fill(own, part * 60..part * 60 + 60).await);
        let others = [live(2), set(1, 2, Environment::Live), set(1, 1, Environment::Test)];
        db.fill(others[part % 3], 10_000 + part * 60..10_000 + part * 60 + 60).await;
    }
    db.compare(own, &all, &[0, 1, 30]).await;
    let none = TimeRange { from: Some(at(1)), to: None };
    let request = ListRequest { created: none, ..ListRequest::default() };
    assert_eq!(db.list(own, Vec::new(), request).await.total, Some(0), "all were made at 0");
    let all_of_it = TimeRange { from: Some(at(0)), to: Some(at(0)) };
    let request = ListRequest { created: all_of_it, updated: all_of_it, ..ListRequest::default() };
    assert_eq!(db.list(own, Vec::new(), request).await.total, Some(240));
}

/// With more than are found first and sorted then.
async fn long_lists_too(db: Db) {
    let all = db.fill(live(1), 0..8_000).await;
    if db.storage.path().is_none() {
        // As PostgreSQL does by itself a while after so many rows came; until then it takes them to be few.
        db.execute("ANALYZE records, record_items").await;
    }
    db.compare(live(1), &all, &[0, 40]).await;
}

async fn a_log_is_followed_while_it_grows(db: Db) {
    let own = live(1);
    db.fill(own, 0..25).await;
    let newest = |window| ListRequest {
        order: vec![(record_sort("created_at", None), Direction::Descending)],
        window,
        ..ListRequest::default()
    };
    let page = PageRequest { offset: 0, per_page: 10 };
    let first = db.list(own, Vec::new(), newest(Window::Page(page))).await;
    let (mut seen, mut next) = (first.items, first.next);
    db.fill(own, 100..105).await;
    while let Some(position) = next {
        let page = db.list(own, Vec::new(), newest(Window::After { position, per_page: 10 })).await;
        assert_eq!(page.total, None);
        seen.extend(page.items);
        next = page.next;
    }
    let ids: Vec<i64> = seen.iter().map(|record| record.id.0).collect();
    assert_eq!(ids.len(), 25, "each once, and none that came later");
    assert!(ids.is_sorted_by(|a, b| a > b));
    let position = Position { at: at(0), id: seen[5].id.0 };
    let filter = vec![RecordFilter::Item(TAGS, vec!["vip".to_owned()])];
    let older = db.list(own, filter, newest(Window::After { position, per_page: 100 })).await;
    assert!(older.items.iter().all(|record| record.id.0 < position.id) && !older.items.is_empty());
}

async fn a_page_is_not_larger_than_it_may_be(db: Db) {
    let own = live(1);
    for number in 0..5 {
        let data = object(&format!(r#"{{"text":"{}"}}"#, "x".repeat(1 << 20)));
        db.keep(NewRecord { data, ..new(own, &format!("lead_{number}")) }).await.expect("nothing is taken");
    }
    let request = |size| ListRequest { size, ..ListRequest::default() };
    let refused = db.list(own, Vec::new(), request(Size::Refused)).await;
    assert_eq!((refused.items.len(), refused.fitting), (0, Some(3)));
    let cut = db.list(own, Vec::new(), request(Size::Cut)).await;
    assert_eq!((cut.items.len(), cut.fitting), (3, Some(3)));
    assert_eq!(db.list(own, Vec::new(), request(Size::Whole)).await.items.len(), 5);
}
