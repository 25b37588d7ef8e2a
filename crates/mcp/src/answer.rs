//! What a server answers, in our words. Results are read item by item: one that nobody knows is passed on as
//! it came.

use rmcp::model::ErrorData;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What a tool answered.
#[derive(Debug, Clone)]
pub struct ToolAnswer {
    /// The texts, with line breaks between.
    pub content: String,
    /// Everything that is not text, as the server wrote it.
    pub blocks: Vec<Box<RawValue>>,
    /// The same as data, if the tool answers such, as the server wrote it.
    pub structured_content: Option<Box<RawValue>>,
    /// How many bytes of text and other blocks.
    pub size: usize,
    /// Whether the tool says that it failed.
    pub is_error: bool,
}

/// The result of a call, or of a part of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallResult<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    structured_content: Option<&'a RawValue>,
    #[serde(borrow)]
    is_error: Option<&'a RawValue>,
    #[serde(borrow)]
    result_type: Option<&'a RawValue>,
    request_state: Option<String>,
    #[serde(borrow)]
    input_requests: Option<&'a RawValue>,
}

/// What a server's answer to a call comes to.
pub(crate) enum Read {
    /// It is the answer.
    Answer(ToolAnswer),
    /// The server wants to be asked once more, with this.
    Again(String),
}

impl ToolAnswer {
    /// Reads the result of a call.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn read(text: &RawValue) -> Result<Read, String> {
        let result: CallResult<'_> = serde_json::from_str(text.get()).map_err(|error| error.to_string())?;
        match result.result_type.map(RawValue::get) {
            None | Some("\"complete\"") => {}
            Some("\"input_required\"") => {
                let nothing_is_asked = result.input_requests.is_none_or(|requests| requests.get() == "{}");
                return match result.request_state.filter(|_| nothing_is_asked) {
                    Some(state) => Ok(Read::Again(state)),
                    None => Err("it asks for input, which nobody can give here".to_owned()),
                };
            }
            Some(other) => return Err(format!("its result is of the type {}", crate::message::short(other))),
        }
        let content = result.content.map_or("[]", RawValue::get);
        let content: Vec<Box<RawValue>> = match serde_json::from_str(content) {
            Ok(blocks) => blocks,
            // A block that is not in a list is a block all the same.
            Err(_) => vec![result.content.map(ToOwned::to_owned).unwrap_or_default()],
        };
        let (mut texts, mut blocks) = (Vec::new(), Vec::new());
        for block in content {
            match text_of(&block) {
                Some(text) => texts.push(text),
                None if block.get().starts_with('{') => blocks.push(block),
                // The protocol may come to know more kinds of blocks, but each is an object.
                None => {}
            }
        }
        let content = texts.join("\n");
        let size = content.len() + blocks.iter().map(|block| block.get().len()).sum::<usize>();
        let structured_content = result.structured_content.map(ToOwned::to_owned);
        let is_error = result.is_error.is_some_and(|flag| flag.get() == "true");
        Ok(Read::Answer(Self { content, blocks, structured_content, size, is_error }))
    }
}

/// The text of a block that is one.
fn text_of(block: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Text {
        r#type: String,
        text: String,
    }
    let block: Text = serde_json::from_str(block.get()).ok()?;
    (block.r#type == "text").then_some(block.text)
}

impl From<ErrorData> for ToolAnswer {
    /// A server that refuses a call has answered it.
    fn from(error: ErrorData) -> Self {
        let content = error.message.into_owned();
        Self { size: content.len(), content, blocks: Vec::new(), structured_content: None, is_error: true }
    }
}

/// A part of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ResourceContent {
    /// Its own URI.
    pub uri: String,
    /// Its media type.
    #[serde(rename = "mimeType")]
    pub mime_type: Option<String>,
    /// A text.
    pub text: Option<String>,
    /// Bytes in base64.
    pub blob: Option<String>,
}

impl ResourceContent {
    /// Reads the parts of a resource; one that is malformed is left out.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) fn read(text: &RawValue) -> Result<Vec<Self>, String> {
        #[derive(Deserialize)]
        struct Contents<'a> {
            #[serde(borrow)]
            contents: Vec<&'a RawValue>,
        }
        let read: Contents<'_> = serde_json::from_str(text.get()).map_err(|error| error.to_string())?;
        let parts = read.contents.iter().filter_map(|part| serde_json::from_str::<Self>(part.get()).ok());
        Ok(parts.filter(|part| part.text.is_some() || part.blob.is_some()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Read, String> {
        ToolAnswer::read(serde_json::from_str(text).expect("JSON"))
    }

    fn answer(text: &str) -> ToolAnswer {
        match read(text) {
            Ok(Read::Answer(answer)) => answer,
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn texts_are_joined_and_the_rest_is_kept_as_it_came() {
        let image = r#"{"type":"image", "data":"aGk=","mimeType":"image/png"}"#;
        let video = r#"{"type":"video","n":1E400,"other":{"x":1}}"#;
        let odd = r#"{"type":"text","text":7}"#;
        let text = format!(
            r#"{{"content":[{{"type":"text","text":"a"}},{image},{video},{odd},7,{{"type":"text","text":"é","x":1}}],
                "structuredContent":{{"b":19.90,"a":1}}}}"#
        );
        let answer = answer(&text);
        assert_eq!((answer.content.as_str(), answer.is_error), ("a\né", false));
        let blocks: Vec<_> = answer.blocks.iter().map(|block| block.get()).collect();
        assert_eq!(blocks, [image, video, odd]);
        assert_eq!(answer.size, 4 + image.len() + video.len() + odd.len());
        assert_eq!(answer.structured_content.expect("data").get(), r#"{"b":19.90,"a":1}"#);
    }

    #[test]
    fn what_is_missing_is_empty() {
        for text in
            ["{}", r#"{"content":[]}"#, r#"{"content":null,"isError":"yes"}"#, r#"{"resultType":"complete"}"#]
        {
            let answer = answer(text);
            assert_eq!((answer.size, answer.blocks.len(), answer.is_error), (0, 0, false), "{text}");
        }
        assert!(answer(r#"{"content":[],"isError":true}"#).is_error);
        let alone = answer(r#"{"content":{"type":"text","text":"a"}}"#);
        assert_eq!((alone.content.as_str(), alone.blocks.len()), ("a", 0));
    }

    #[test]
    fn what_is_no_answer() {
        for text in ["7", "[]", r#"{"resultType":"task"}"#, r#"{"resultType":"input_required"}"#] {
            assert!(read(text).is_err(), "{text}");
        }
        let asks = r#"{"resultType":"input_required","requestState":"s","inputRequests":{"a":{}}}"#;
        assert!(read(asks).is_err());
        let again = read(r#"{"resultType":"input_required","requestState":"s"}"#);
        assert!(matches!(again, Ok(Read::Again(state)) if state == "s"));
    }

    #[test]
    fn a_malformed_part_of_a_resource_is_left_out() {
        let text = r#"{"contents":[{"uri":"a","text":"x","mimeType":null},{"uri":"b"},7,{"uri":"c","blob":"aGk="}]}"#;
        let parts = ResourceContent::read(serde_json::from_str(text).expect("JSON")).expect("parts");
        assert_eq!(parts.iter().map(|part| part.uri.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert!(ResourceContent::read(serde_json::from_str("{}").expect("JSON")).is_err());
    }
}
