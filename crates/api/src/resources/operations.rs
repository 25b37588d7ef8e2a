//! The operations that declarations make.

use std::sync::Arc;

use actix_web::http::Method;
use gatepost_app::{
    Requirement,
    resources::{Resource, Resources, records::RecordPath},
};
use gatepost_contract::{Contract, Statuses, document::Envelope};
use gatepost_kernel::{describe::Schemas, intern};
use gatepost_keys::Scope;
use gatepost_resources::{Action, Kind, OnDelete, ResourceType};
use serde_json::{Value, json};

use super::{
    analytics::{AnalyticsQuery, RecordAnalyticsView},
    queries::{filter_parameters, options},
    schemas,
    verb::Verb,
    words::{capital, done, listed, one},
};
use crate::{
    answer::{Item, Kind as _, deleted},
    lists::{Asked, Options, shape_parameters},
    operation::{Input, Operation, Shape, ShapeOf, Tag, TakenBody},
    query::Parameter,
    scopes::{self, AnalyticsRead, RequiredScope},
};

/// An operation on records of one type.
pub struct RecordOperation {
    /// The operation as those of the document are.
    pub operation: Operation,
    /// Type of the records.
    pub resource: Arc<Resource>,
    /// What is done to them.
    pub verb: Verb,
    /// What can be asked of the records.
    pub options: Options,
    /// The scope that it takes.
    pub scope: &'static Scope,
}

impl RecordOperation {
    /// What a caller needs for it.
    pub fn requirement(&self) -> Requirement {
        Requirement { scope: Some(self.scope), or_tools: false }
    }

    /// The action, if it is one.
    pub fn action(&self) -> Option<&Action> {
        match self.verb {
            Verb::Act(name) => self.resource.declared.action(name),
            _ => None,
        }
    }

    /// The record that a path below the base names, if the path is that of this operation. Where there is
    /// none to name, its id is empty.
    fn path_of(&self, segments: &[&str]) -> Option<RecordPath> {
        let mut ids = Vec::new();
        let pattern = self.operation.path.split('/').skip(1);
        if pattern.clone().count() != segments.len() {
            return None;
        }
        for (pattern, segment) in pattern.zip(segments) {
            match pattern.starts_with('{') {
                true => ids.push((*segment).to_owned()),
                false if pattern == *segment => {}
                false => return None,
            }
        }
        let mut ids = ids.into_iter();
        let parent_id = self.resource.declared.parent.and_then(|_| ids.next());
        Some(RecordPath { parent_id, id: ids.next().unwrap_or_default() })
    }
}

/// The operations of all declared types, in the order of their declaration.
#[derive(Default)]
pub struct RecordOperations(Vec<Arc<RecordOperation>>);

impl RecordOperations {
    /// The operations of these types.
    pub fn of(resources: &Resources) -> Self {
        let all = resources.iter().flat_map(|resource| of_type(resources, resource));
        Self(all.map(Arc::new).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The operations as those of the document.
    pub fn iter(&self) -> impl Iterator<Item = &Operation> {
        self.0.iter().map(|own| &own.operation)
    }

    /// The operation of a method and a path below the base, and the record that the path names.
    pub fn find(&self, method: &Method, path: &str) -> Option<(Arc<RecordOperation>, RecordPath)> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let mut of_method = self.0.iter().filter(|own| own.operation.method == *method);
        of_method.find_map(|own| own.path_of(&segments).map(|path| (own.clone(), path)))
    }
}

/// What the operations of one type have in common.
struct Making<'m> {
    resources: &'m Resources,
    resource: &'m Arc<Resource>,
    options: Options,
    tag: Tag,
    /// The path of all records, and of one.
    paths: [&'static str; 2],
}

fn of_type(resources: &Resources, resource: &Arc<Resource>) -> Vec<RecordOperation> {
    let declared = &resource.declared;
    let owner = resources.declarations().scope_owner(declared);
    let several = declared.plural_label();
    let all = match declared.parent {
        Some(_) => format!("/{}/{{id}}/{}", owner.plural, declared.plural),
        None => format!("/{}", declared.plural),
    };
    let own_id =
        if declared.parent.is_some() { format!("{{{}_id}}", declared.name) } else { "{id}".to_owned() };
    let about = match declared.is_log {
        true => format!("{} are added, listed and read; they do not change.", capital(&several)),
        false => format!("Create, find, change and delete {several}."),
    };
    let making = Making {
        resources,
        resource,
        options: options(resources, resource),
        tag: Tag { name: intern(&capital(&several)), about: intern(&about) },
        paths: [intern(&all), intern(&format!("{all}/{own_id}"))],
    };
    let mut made =
        vec![making.operation(Verb::List), making.operation(Verb::Create), making.operation(Verb::Get)];
    if !declared.is_log {
        let update = making.operation(Verb::Update);
        let mut put = making.operation(Verb::Update);
        put.operation.method = Method::PUT;
        put.operation.alias_of = Some(update.operation.id);
        put.operation.id = intern(&declared.operation_id("put"));
        let about =
            format!("{} with PUT\n\nThe same as `{}`.", update.operation.summary(), update.operation.id);
        put.operation.about = intern(&about);
        made.extend([update, put, making.operation(Verb::Delete)]);
        made.extend(declared.actions.iter().map(|action| making.operation(Verb::Act(action.name))));
    }
    if declared.parent.is_none() {
        made.push(making.operation(Verb::Count));
    }
    made
}

impl Making<'_> {
    fn operation(&self, verb: Verb) -> RecordOperation {
        let declared = &self.resource.declared;
        let (label, several) = (declared.label(), declared.plural_label());
        let [all, own] = self.paths;
        let action = if let Verb::Act(name) = verb { declared.action(name) } else { None };
        let updated = declared.event_type("updated");
        let (method, path, id, about, answer, scope, event) = match (verb, action) {
            (Verb::List, _) => {
                let answer = format!("One page of {several}");
                (
                    Method::GET,
                    all,
                    declared.list_operation_id(),
                    format!("List {several}"),
                    (200, answer),
                    "read",
                    updated,
                )
            }
            (Verb::Create, _) => {
                let answer = (201, format!("The new {label}"));
                let (id, event) = (declared.operation_id("create"), declared.event_type("created"));
                (Method::POST, all, id, self.about_creating(), answer, "write", event)
            }
            (Verb::Get, _) => {
                let about = format!("Get {}", one(&label));
                (
                    Method::GET,
                    own,
                    declared.operation_id("get"),
                    about,
                    (200, format!("The {label}")),
                    "read",
                    updated,
                )
            }
            (Verb::Delete, _) => {
                let (id, answer) =
                    (declared.operation_id("delete"), (204, format!("The {label} is deleted")));
                (
                    Method::DELETE,
                    own,
                    id,
                    self.about_deleting(),
                    answer,
                    "delete",
                    declared.event_type("deleted"),
                )
            }
            (Verb::Count, _) => {
                let about = format!(
                    "Count {several}\n\nCounts {several} by hour or day of the workspace's time zone, in which they were created."
                );
                let path = intern(&format!("/analytics{all}"));
                let id = declared.analytics_operation_id().unwrap_or_default();
                let answer = (200, "Counts by period and group".to_owned());
                (Method::GET, path, id, about, answer, "read", updated)
            }
            (Verb::Act(name), Some(action)) => {
                let answer = (200, format!("The {label} after it"));
                let path = intern(&format!("{own}/{name}"));
                (
                    Method::POST,
                    path,
                    declared.operation_id(name),
                    self.about_acting(action),
                    answer,
                    "write",
                    action.event,
                )
            }
            (Verb::Update | Verb::Act(_), _) => {
                let about = format!(
                    "Update {}\n\nFields that are left out stay as they are; `null` takes a value away.",
                    one(&label)
                );
                let answer = (200, format!("The {label} after the change"));
                (Method::PATCH, own, declared.operation_id("update"), about, answer, "write", updated)
            }
        };
        let owner = self.resources.declarations().scope_owner(declared);
        let scope = match verb {
            Verb::Count => AnalyticsRead::scope(),
            _ => scopes::of(owner.plural, scope),
        };
        let changes = method != Method::GET;
        let operation = Operation {
            id: intern(&id),
            heeds_version: matches!(verb, Verb::Update | Verb::Delete | Verb::Act(_)),
            method,
            path,
            tag: self.tag,
            about: intern(&about),
            answer: (answer.0, intern(&answer.1)),
            changes,
            acts_on_workspace: true,
            alias_of: None,
            sentence: Some(intern(&done(&label, event))),
            shape: self.shape(verb, scope),
            register: |_| {},
        };
        RecordOperation {
            operation,
            resource: self.resource.clone(),
            verb,
            options: self.options.clone(),
            scope,
        }
    }

    fn about_creating(&self) -> String {
        let declared = &self.resource.declared;
        let mut about = vec![format!("Create {}", one(&declared.label()))];
        if let Some(parent) = self.resources.parent_of(self.resource).filter(|_| !declared.when.is_empty()) {
            about.push(format!("Only while {}.", conditions(&declared.when, &parent.declared.label())));
        }
        if let Some(feature) = declared.count {
            about.push(format!(
                "Counts as `{feature}`: 403 `feature_limit_reached` where the plan allows no more."
            ));
        }
        sentences(about)
    }

    fn about_deleting(&self) -> String {
        let declared = &self.resource.declared;
        let mut about = vec![format!("Delete {}", one(&declared.label()))];
        for (of, field) in self.resources.declarations().references(declared.name) {
            let Kind::Ref { on_delete, .. } = field.kind else { continue };
            let several = of.plural_label();
            about.push(match on_delete {
                OnDelete::Cascade => format!("Its {several} are deleted with it."),
                OnDelete::Unset => format!("{} that refer to it refer to none then.", capital(&several)),
                OnDelete::Restrict => format!("Refused while {several} refer to it."),
            });
        }
        sentences(about)
    }

    fn about_acting(&self, action: &Action) -> String {
        let declared = &self.resource.declared;
        let label = declared.label();
        let mut about = vec![format!("{} {}", capital(&action.name.replace('_', " ")), one(&label))];
        if !action.from.is_empty() {
            about.push(format!("Only while {}.", conditions(&action.from, &label)));
        }
        let names =
            |names: &[&str]| listed(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>(), "and");
        if !action.add.is_empty() {
            about.push(format!("Adds to {}; what is there already stays once.", names(&action.add)));
        }
        if !action.remove.is_empty() {
            about.push(format!("Takes away from {}.", names(&action.remove)));
        }
        about.push(format!("Sends `{}`.", action.event));
        sentences(about)
    }

    fn shape(&self, verb: Verb, scope: &'static Scope) -> ShapeOf {
        let (resource, resources, options) =
            (self.resource.clone(), self.resources.clone(), self.options.clone());
        ShapeOf::Declaration(Arc::new(move |contract: &Contract, schemas: &mut Schemas| {
            let declared = &resource.declared;
            let view = schemas::view(schemas, declared, &resources);
            let query: Vec<Parameter> = match verb {
                Verb::List => Asked::parameters(contract, &options, filter_parameters(declared)),
                Verb::Get => shape_parameters(&options),
                Verb::Count => AnalyticsQuery::parameters(contract, declared),
                _ => Vec::new(),
            };
            let envelope = match verb {
                Verb::List if declared.is_log => Some(Envelope::Log),
                Verb::List => Some(Envelope::Page),
                Verb::Get => Some(Envelope::Item),
                Verb::Delete | Verb::Count => None,
                Verb::Create | Verb::Update | Verb::Act(_) => Some(Envelope::Message),
            };
            let stem = declared.stem();
            let answer = match envelope {
                Some(envelope) => {
                    let (name, schema) = contract.envelope_schema(envelope, &stem, &stem, &view);
                    Some(schemas.named(&name, |_| schema))
                }
                None if verb == Verb::Count => Item::<RecordAnalyticsView>::schema(contract, schemas),
                None if contract.statuses == Statuses::Plain => {
                    let example = schemas::id(declared)["example"].take();
                    Some(deleted(contract, schemas, "DeletedRecord", (json!({ "type": "string" }), example)))
                }
                None => None,
            };
            let body = schemas::body(schemas, declared, verb)
                .map(|(schema, optional)| TakenBody { schema, optional });
            Shape {
                input: Input { needs_key: true, scope: Some(scope), query, body },
                path: in_path(&resources, &resource, verb),
                answer,
                is_page: verb == Verb::List,
                headers: None,
                refusal: None,
            }
        }))
    }
}

/// The parameters in the path.
fn in_path(
    resources: &Resources,
    resource: &Resource,
    verb: Verb,
) -> Vec<(&'static str, &'static str, Value)> {
    let of = |name: &str, declared: &ResourceType| {
        (intern(name), intern(&format!("Id of the {}", declared.label())), schemas::id(declared))
    };
    let mut path = Vec::new();
    let parent = resources.parent_of(resource);
    path.extend(parent.map(|parent| of("id", &parent.declared)));
    if !matches!(verb, Verb::List | Verb::Create | Verb::Count) {
        let name = match parent {
            Some(_) => format!("{}_id", resource.declared.name),
            None => "id".to_owned(),
        };
        path.push(of(&name, &resource.declared));
    }
    path
}

/// `the handler of the conversation is bot and its status is open`
fn conditions(conditions: &[(&'static str, Vec<&'static str>)], label: &str) -> String {
    let each = conditions.iter().enumerate().map(|(index, (field, values))| {
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        let field = field.replace('_', " ");
        let whose = if index == 0 { format!("the {field} of the {label}") } else { format!("its {field}") };
        format!("{whose} is {}", listed(&values, "or"))
    });
    listed(&each.collect::<Vec<_>>(), "and")
}

/// The first stands alone, the others below it.
fn sentences(mut about: Vec<String>) -> String {
    let rest = about.split_off(1).join(" ");
    let first = about.remove(0);
    if rest.is_empty() { first } else { format!("{first}\n\n{rest}") }
}
