"""Leads and conversations of the preset `anvil`, by a client that openapi-python-client made from its /openapi.json.

GATEPOST_URL is the server, GATEPOST_KEY a key of the root workspace.
"""

import os

from anvil_api_client import AuthenticatedClient
from anvil_api_client.api.conversations import create_conversation, take_over_conversation
from anvil_api_client.api.leads import create_lead, delete_lead, get_lead, list_leads, tag_lead, update_lead
from anvil_api_client.api.messages import create_conversation_message, list_conversation_messages
from anvil_api_client.models import (
    ConversationMessage,
    CreateConversationBody,
    CreateLeadBody,
    CreateMessageBody,
    DeletedRecordItem,
    ErrorBody,
    LeadItem,
    LeadMessage,
    LeadPage,
    LeadStatus,
    MessageAuthor,
    MessageMessage,
    MessagePage,
    TagLeadBody,
    TakeOverConversationBody,
    UpdateLeadBody,
)

url, key = (os.environ[name] for name in ("GATEPOST_URL", "GATEPOST_KEY"))
client = AuthenticatedClient(base_url=url, token=key)

# Twenty-five leads, read page by page.
for number in range(1, 26):
    body = CreateLeadBody(name=f"Python {number}", score=number, tags=["python"])
    made = create_lead.sync(client=client, body=body, idempotency_key=f"py-lead-{number}")
    assert isinstance(made, LeadMessage), made
leads = []
page = 1
while True:
    listed = list_leads.sync(client=client, page=page, tags=["python"], sort="-score")
    assert isinstance(listed, LeadPage), listed
    leads.extend(listed.data)
    if len(leads) >= listed.meta.total:
        break
    page += 1
assert [lead.score for lead in leads] == list(range(25, 0, -1)), leads

# One is changed and tagged.
lead = leads[0]
changed = update_lead.sync(lead.id, client=client, body=UpdateLeadBody(company=None, score=99))
assert isinstance(changed, LeadMessage), changed
assert changed.data.score == 99
assert changed.data.status == LeadStatus.NEW
tagged = tag_lead.sync(lead.id, client=client, body=TagLeadBody(tags=["vip"]))
assert isinstance(tagged, LeadMessage), tagged
assert tagged.data.tags == ["python", "vip"]

# A conversation that a person takes over from a bot, and its messages.
conversation = create_conversation.sync(client=client, body=CreateConversationBody(lead_id=lead.id))
assert isinstance(conversation, ConversationMessage), conversation
of = conversation.data.id
question = CreateMessageBody(author=MessageAuthor.CUSTOMER, body="Is anybody there?")
message = create_conversation_message.sync(of, client=client, body=question)
assert isinstance(message, MessageMessage), message
taken = take_over_conversation.sync(of, client=client, body=TakeOverConversationBody(agent="Grace"))
assert isinstance(taken, ConversationMessage), taken
again = take_over_conversation.sync(of, client=client, body=TakeOverConversationBody(agent="Grace"))
assert isinstance(again, ErrorBody) and again.error.code == "INVALID_STATE", again
messages = list_conversation_messages.sync(of, client=client)
assert isinstance(messages, MessagePage), messages
assert [one.body for one in messages.data] == ["Is anybody there?"]

# What was made is deleted.
deleted = delete_lead.sync(lead.id, client=client)
assert isinstance(deleted, DeletedRecordItem) and deleted.data.deleted, deleted
gone = get_lead.sync(lead.id, client=client)
assert isinstance(gone, ErrorBody) and gone.error.code == "NOT_FOUND", gone
assert not isinstance(gone, LeadItem)
print("25 leads, a conversation and its message")
