//! What the visitors of a workspace's pages do, what its keys ask for, and how its pages fare.

pub mod analytics;
pub mod pixel;
mod pixel_values;
pub mod seo;

pub(crate) use pixel_values::PixelValues;
