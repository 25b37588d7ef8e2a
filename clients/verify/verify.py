"""Verifies a webhook with the standardwebhooks package: python verify.py SECRET < request.json

The request is {"headers": {…}, "body": "…"} as a web framework hands it over. Prints the event's id.
"""

import json
import sys

from standardwebhooks import Webhook

request = json.load(sys.stdin)
event = Webhook(sys.argv[1]).verify(request["body"], request["headers"])
print(event["id"])
