//! What a server answers, in our words.

use rmcp::model::{CallToolResult, ContentBlock, ErrorData, ResourceContents};
use serde_json::Value;

/// What a tool answered.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolAnswer {
    /// The texts, with line breaks between.
    pub content: String,
    /// Everything that is not text, as the protocol has it.
    pub blocks: Vec<Value>,
    /// The same as data, if the tool answers such.
    pub structured_content: Option<Value>,
    /// How many bytes of text and other blocks.
    pub size: usize,
    /// Whether the tool says that it failed.
    pub is_error: bool,
}

impl From<CallToolResult> for ToolAnswer {
    fn from(result: CallToolResult) -> Self {
        let (mut texts, mut blocks) = (Vec::new(), Vec::new());
        for block in result.content {
            match block {
                ContentBlock::Text(text) => texts.push(text.text),
                // What was read from JSON can be written as JSON.
                other => blocks.extend(serde_json::to_value(other)),
            }
        }
        let content = texts.join("\n");
        let size = content.len() + blocks.iter().map(|block| block.to_string().len()).sum::<usize>();
        let (structured_content, is_error) = (result.structured_content, result.is_error == Some(true));
        Self { content, blocks, structured_content, size, is_error }
    }
}

impl From<ErrorData> for ToolAnswer {
    /// A server that refuses a call has answered it.
    fn from(error: ErrorData) -> Self {
        let content = error.message.into_owned();
        Self { size: content.len(), content, blocks: Vec::new(), structured_content: None, is_error: true }
    }
}

/// A part of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceContent {
    /// Its own URI.
    pub uri: String,
    /// Its media type.
    pub mime_type: Option<String>,
    /// A text.
    pub text: Option<String>,
    /// Bytes in base64.
    pub blob: Option<String>,
}

impl ResourceContent {
    pub(crate) fn new(contents: ResourceContents) -> Option<Self> {
        match contents {
            ResourceContents::TextResourceContents { uri, mime_type, text, .. } => {
                Some(Self { uri, mime_type, text: Some(text), blob: None })
            }
            ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                Some(Self { uri, mime_type, text: None, blob: Some(blob) })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_joined_and_the_rest_is_kept() {
        let content =
            vec![ContentBlock::text("a"), ContentBlock::image("aGk=", "image/png"), ContentBlock::text("é")];
        let answer = ToolAnswer::from(CallToolResult::success(content));
        assert_eq!((answer.content.as_str(), answer.is_error, answer.blocks.len()), ("a\né", false, 1));
        assert_eq!(answer.blocks[0]["mimeType"], "image/png");
        assert_eq!(answer.size, 4 + answer.blocks[0].to_string().len());
        let failed = ToolAnswer::from(CallToolResult::error(vec![ContentBlock::text("no")]));
        assert!(failed.is_error);
    }
}
