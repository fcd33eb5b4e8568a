// Reads requests from standard input, a JSON list of {verifier, secret, headers, body},
// the body in base64, and prints for each what the official verifier of that name says
// to it, as a JSON list: {id}, the id in the body, or {error}.

import { webcrypto } from 'node:crypto'
import { text } from 'node:stream/consumers'
import OpenAI from 'openai'
import { Webhook } from 'standardwebhooks'

globalThis.crypto ??= webcrypto // which Node 18 has under this name alone

const verifiers = {
  standardwebhooks: ({ secret, headers }, body) => new Webhook(secret).verify(body, headers),
  openai: ({ secret, headers }, body) =>
    new OpenAI({ apiKey: 'none' }).webhooks.unwrap(body, headers, secret),
}

const said = []
for (const request of JSON.parse(await text(process.stdin))) {
  try {
    const body = Buffer.from(request.body, 'base64').toString()
    said.push({ id: (await verifiers[request.verifier](request, body)).id })
  } catch (error) {
    said.push({ error: String(error) })
  }
}
console.log(JSON.stringify(said))
