// Verifies a webhook with the standardwebhooks package: node verify.mjs SECRET < request.json
//
// The request is {"headers": {…}, "body": "…"} as a web framework hands it over. Prints the event's id.

import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const request = JSON.parse(readFileSync(0, "utf8"));
const event = new Webhook(process.argv[2]).verify(request.body, request.headers);
console.log(event.id);
