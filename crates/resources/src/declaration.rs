//! What a type of resource is. Names live as long as the program (see [`gatepost_kernel::intern`]).

use gatepost_kernel::Json;

use crate::{Column, Kind};

/// All declared types, in the order of their declaration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declarations(pub(crate) Vec<ResourceType>);

impl Declarations {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &ResourceType> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The type of this name.
    pub fn get(&self, name: &str) -> Option<&ResourceType> {
        self.iter().find(|declared| declared.name == name)
    }

    /// The type whose scopes a type has: its parent, or the type itself.
    pub fn scope_owner<'d>(&'d self, declared: &'d ResourceType) -> &'d ResourceType {
        declared.parent.and_then(|parent| self.get(parent)).unwrap_or(declared)
    }

    /// The fields that refer to a type, with the types that have them.
    pub fn references(&self, to: &str) -> impl Iterator<Item = (&ResourceType, &Field)> {
        self.iter()
            .flat_map(|declared| declared.fields.iter().map(move |field| (declared, field)))
            .filter(move |(_, field)| matches!(field.kind, Kind::Ref { to: referred, .. } if referred == to))
    }

    /// Whether an event of this type is sent by the platform for a record.
    pub fn sends(&self, event_type: &str) -> bool {
        self.iter().any(|declared| declared.event_types().any(|sent| sent == event_type))
    }
}

/// A type of resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceType {
    /// Name of one record, such as `lead`.
    pub name: &'static str,
    /// Name of several, as in paths and scopes: `leads`.
    pub plural: &'static str,
    /// What ids begin with: `lead_`.
    pub id_prefix: &'static str,
    /// The type that a record belongs to one of.
    pub parent: Option<&'static str>,
    /// Whether records are only ever added.
    pub is_log: bool,
    /// What the parent must be for a record to be added.
    pub when: Conditions,
    /// The fields whose words are searched.
    pub search: Vec<&'static str>,
    /// The feature that each record counts as.
    pub count: Option<&'static str>,
    /// The fields. That of a child begins with the reference to its parent.
    pub fields: Vec<Field>,
    /// What can be done to a record beside changing its fields.
    pub actions: Vec<Action>,
    /// What happens when a field becomes a value.
    pub enters: Vec<Enter>,
}

impl ResourceType {
    /// A field.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// An action.
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.name == name)
    }

    /// What people call one: `sales order` for `sales_order`.
    pub fn label(&self) -> String {
        self.name.replace('_', " ")
    }

    /// What people call several.
    pub fn plural_label(&self) -> String {
        self.plural.replace('_', " ")
    }

    /// What its records are found by: where it differs, they have to be found by other values than those that
    /// are kept.
    pub fn found_by(&self) -> String {
        let of = |field: &Field| {
            let Field { name, kind, unique, filter, sort, .. } = field;
            format!("{name} {} unique={unique} filter={filter} sort={sort}", kind.name())
        };
        let is_found = |field: &&Field| field.unique || field.filter || field.column().is_some();
        let fields: Vec<String> = self.fields.iter().filter(is_found).map(of).collect();
        format!("{}; search={}", fields.join(", "), self.search.join(","))
    }

    /// The name of the field that refers to the parent, if there is one.
    pub fn parent_field(&self) -> Option<&'static str> {
        self.parent?;
        self.fields.first().map(|field| field.name)
    }

    /// The references whose records can be shown beside a record, by the names under which they are: `lead`
    /// for `lead_id`.
    pub fn includes(&self) -> impl Iterator<Item = (&'static str, &Field)> {
        let name = |field: &Field| {
            let name = field.name.strip_suffix("_id").filter(|_| matches!(field.kind, Kind::Ref { .. }))?;
            self.members().all(|member| member != name).then_some(name)
        };
        self.fields.iter().filter_map(move |field| Some((name(field)?, field)))
    }

    /// The actions that set a field, by name.
    pub fn actions_of<'r>(&'r self, field: &'r str) -> impl Iterator<Item = &'static str> + 'r {
        let sets = move |action: &&Action| {
            action.fields().any(|name| name == field)
                || action.unset.contains(&field)
                || action.set.iter().any(|(name, _)| *name == field)
        };
        self.actions.iter().filter(sets).map(|action| action.name)
    }

    /// The type of the event that is sent when a record was made, changed or deleted.
    pub fn event_type(&self, what: &str) -> &'static str {
        gatepost_kernel::intern(&format!("{}.{what}", self.name))
    }

    /// The parameters that its list has for its fields.
    pub fn parameters(&self) -> impl Iterator<Item = String> {
        self.fields.iter().filter(|field| field.filter).flat_map(Field::parameters)
    }

    /// The id of an operation on one of its records: `create_lead`, `create_conversation_message`.
    pub fn operation_id(&self, verb: &str) -> String {
        match self.parent {
            Some(parent) => format!("{verb}_{parent}_{}", self.name),
            None => format!("{verb}_{}", self.name),
        }
    }

    /// The id of the operation that lists its records.
    pub fn list_operation_id(&self) -> String {
        match self.parent {
            Some(parent) => format!("list_{parent}_{}", self.plural),
            None => format!("list_{}", self.plural),
        }
    }

    /// The id of the operation that counts its records by time; none where they are seen below a parent
    /// alone.
    pub fn analytics_operation_id(&self) -> Option<String> {
        self.parent.is_none().then(|| format!("get_{}_analytics", self.name))
    }

    /// The fields by whose values its records can be counted in groups.
    pub fn groups(&self) -> impl Iterator<Item = &Field> {
        let is_found = |field: &&Field| matches!(field.kind, Kind::Enum { .. }) && field.column().is_some();
        self.fields.iter().filter(is_found)
    }

    /// The ids of its operations.
    pub fn operation_ids(&self) -> Vec<String> {
        let verbs =
            if self.is_log { &["create", "get"][..] } else { &["create", "get", "update", "put", "delete"] };
        let actions = self.actions.iter().map(|action| action.name);
        let of_one = verbs.iter().copied().chain(actions).map(|verb| self.operation_id(verb));
        std::iter::once(self.list_operation_id()).chain(of_one).chain(self.analytics_operation_id()).collect()
    }

    /// What the names of its schemas begin with: `SalesOrder` for `sales_order`.
    pub fn stem(&self) -> String {
        capitalized(self.name)
    }

    /// The names of its schemas.
    pub fn schema_names(&self) -> Vec<String> {
        let stem = self.stem();
        let mut names = ["", "Item", "Message", "Page", "Event"].map(|end| format!("{stem}{end}")).to_vec();
        names.extend(["create", "update"].map(|verb| self.body_name(verb)));
        let with_body = self.actions.iter().filter(|action| action.fields().next().is_some());
        names.extend(with_body.map(|action| self.body_name(action.name)));
        let words = self.fields.iter().filter(|field| matches!(field.kind, Kind::Enum { .. }));
        names.extend(words.map(|field| self.words_name(field)));
        names
    }

    /// The name of the schema of the words that a field can hold: `LeadStatus`.
    pub fn words_name(&self, field: &Field) -> String {
        format!("{}{}", self.stem(), capitalized(field.name))
    }

    /// The name of the schema of what an operation takes: `TakeOverConversationBody`.
    pub fn body_name(&self, verb: &str) -> String {
        format!("{}{}Body", capitalized(verb), self.stem())
    }

    /// The types of all events that its records have, each once.
    pub fn event_types(&self) -> impl Iterator<Item = &'static str> {
        let usual = if self.is_log { &["created"][..] } else { &["created", "updated", "deleted"] };
        let mut types: Vec<&'static str> = usual.iter().map(|what| self.event_type(what)).collect();
        let own = self.actions.iter().map(|action| action.event);
        for event in own.chain(self.enters.iter().filter_map(|enter| enter.event)) {
            if !types.contains(&event) {
                types.push(event);
            }
        }
        types.into_iter()
    }
}

/// The words of a name in one, each with a capital.
fn capitalized(name: &str) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    name.split('_').map(capital).collect()
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name of the field.
    pub name: &'static str,
    /// What it is, as a sentence, if the declaration says.
    pub description: Option<&'static str>,
    /// What it holds.
    pub kind: Kind,
    /// Whether every record has it.
    pub required: bool,
    /// Whether no two records of an environment have the same value in it.
    pub unique: bool,
    /// Whether lists can be filtered by it.
    pub filter: bool,
    /// Whether lists can be sorted by it.
    pub sort: bool,
    /// What it holds in a new record where nothing is said.
    pub default: Option<Json>,
    /// Whether actions alone change it.
    pub set_by_actions: bool,
    /// Which values may follow which; all may where it is empty.
    pub moves: Conditions,
}

impl Field {
    /// A field that may hold anything of a kind.
    pub(crate) fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            description: None,
            kind,
            required: false,
            unique: false,
            filter: false,
            sort: false,
            default: None,
            set_by_actions: false,
            moves: Vec::new(),
        }
    }

    /// Whether an update may leave a record without it. Not if it moves from value to value: whoever could
    /// take it away could go anywhere from there.
    pub fn can_be_taken_away(&self) -> bool {
        !self.required && self.moves.is_empty()
    }

    /// What people call it.
    pub fn label(&self) -> String {
        self.name.replace('_', " ")
    }

    /// The parameters by which lists are filtered by it: a number and a time have bounds too.
    pub fn parameters(&self) -> Vec<String> {
        let bounds: &[&str] = match self.kind {
            Kind::Integer { .. } => &["", "_min", "_max"],
            Kind::Time => &["_after", "_before"],
            _ => &[""],
        };
        bounds.iter().map(|bound| format!("{}{bound}", self.name)).collect()
    }

    /// The column that its values are found by, if it needs one: what is unique is found by its key, and of a
    /// list each item.
    pub fn column(&self) -> Option<Column> {
        let is_found = self.sort || (self.filter && !self.unique) || matches!(self.kind, Kind::Ref { .. });
        let column = self.kind.column()?;
        is_found.then_some(column)
    }
}

/// What fields must be, each one of some values.
pub type Conditions = Vec<(&'static str, Vec<&'static str>)>;

/// What can be done to a record beside changing its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Name of the action, the last part of its path.
    pub name: &'static str,
    /// What a record must be for it.
    pub from: Conditions,
    /// The fields that its body must hold.
    pub input: Vec<&'static str>,
    /// The fields that its body may hold beside them.
    pub optional: Vec<&'static str>,
    /// What it sets beside them.
    pub set: Vec<(&'static str, Setting)>,
    /// What it takes away.
    pub unset: Vec<&'static str>,
    /// The fields of its input whose items are added to those that are there.
    pub add: Vec<&'static str>,
    /// The fields of its input whose items are taken away.
    pub remove: Vec<&'static str>,
    /// Type of the event that is sent.
    pub event: &'static str,
}

impl Action {
    /// The fields that its body can hold.
    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.input.iter().chain(&self.optional).copied()
    }
}

/// What a field is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// This.
    Value(Json),
    /// The time at which it happens.
    Now,
}

/// What happens when a field becomes a value, by whatever way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enter {
    /// The field.
    pub field: &'static str,
    /// The value.
    pub value: &'static str,
    /// What is set then.
    pub set: Vec<(&'static str, Setting)>,
    /// What is taken away then.
    pub unset: Vec<&'static str>,
    /// Type of the event that is sent, if one is.
    pub event: Option<&'static str>,
}
