//! `/resource-types`

use gatepost_macros::operation;

use super::resource_types_wire::ResourceTypeView;
use crate::{
    answer::{Answer, SliceOf},
    call::Call,
    lists::PageQuery,
    operation::Tag,
    scopes::ResourceTypesRead,
};

const TAG: Tag = Tag { name: "Resource types", about: "Resources that the configuration declares." };

/// List declared resources
///
/// With their fields, and what can be done to their records. Each has operations of its own.
#[operation(get "/resource-types", tag = TAG, ok = "One page of declared resources")]
async fn list_resource_types(call: Call<ResourceTypesRead, PageQuery>) -> Answer<SliceOf<ResourceTypeView>> {
    let (resources, contract) = (call.app().resources(), call.contract());
    let view = |declared| ResourceTypeView::new(declared, resources.declarations(), &contract);
    call.slice(resources.declarations().iter().collect(), view)
}
