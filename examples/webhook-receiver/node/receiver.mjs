// Takes what Penstock sends to a webhook endpoint, verifies it and prints a line for
// each event: its id, its type, and the job's id and status. Node 18 or later, and
// nothing else.
//
//   PENSTOCK_WEBHOOK_SECRET=whsec_… node receiver.mjs [--addr 127.0.0.1:8090] [--remember 10000]
//
// parseKeys and verify are what an application copies: everything down to the line.

import * as crypto from 'node:crypto'
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'

const TOLERANCE = 5 * 60 // seconds, both ways

/** What is wrong with a request, and the status to answer with. */
class Refused extends Error {
  constructor(status, word) {
    super(word)
    this.status = status
  }
}

/**
 * Reads keys separated by spaces: whsec_… (shared secrets, for v1) and whpk_… (public
 * keys, for v1a). There are two while an endpoint's secret is being rotated.
 */
function parseKeys(text) {
  const keys = text.split(/\s+/).filter(Boolean).map(parseKey)
  if (keys.length === 0) throw new Error("no key: put the endpoint's whsec_… or whpk_… into PENSTOCK_WEBHOOK_SECRET")
  return keys
}

function parseKey(text) {
  const [, kind, encoded] = /^(whsec|whpk)_(.+)$/.exec(text) ?? []
  const raw = Buffer.from(encoded ?? '', 'base64')
  if (raw.toString('base64') === encoded) {
    if (kind === 'whsec' && raw.length >= 24 && raw.length <= 64) return crypto.createSecretKey(raw)
    if (kind === 'whpk' && raw.length === 32) {
      return crypto.createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') } })
    }
  }
  throw new Error('a key is not whsec_ or whpk_ and base64 of the right length')
}

/**
 * Returns the event's id if one of the signatures was made over the body by one of the
 * keys, within five minutes of now; throws Refused otherwise. headers are those of a
 * request of Node, their names in lower case. body is a Buffer of what came, byte for
 * byte: parsing and printing it again breaks the signature.
 */
function verify(headers, body, keys, now = Date.now() / 1000) {
  const id = headers['webhook-id'] ?? ''
  const timestamp = headers['webhook-timestamp'] ?? ''
  const signatures = (headers['webhook-signature'] ?? '').split(' ').filter(Boolean)
  // An id is visible ASCII without a dot: dots separate the parts of what is signed.
  const formed = /^[!-\-/-~]{1,255}$/.test(id) && /^[0-9]{1,12}$/.test(timestamp)
  if (!formed || signatures.length === 0 || signatures.length > 16) throw new Refused(400, 'malformed headers')
  if (Math.abs(now - Number(timestamp)) > TOLERANCE) throw new Refused(401, 'stale timestamp')
  const message = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body])
  if (!signatures.some((signature) => keys.some((key) => fits(key, message, signature)))) {
    throw new Refused(401, 'wrong signature')
  }
  return id
}

function fits(key, message, candidate) {
  const [version, encoded = ''] = candidate.split(',', 2)
  const signature = Buffer.from(encoded, 'base64')
  if (version === 'v1' && key.type === 'secret') {
    const want = crypto.createHmac('sha256', key).update(message).digest()
    return signature.length === want.length && crypto.timingSafeEqual(signature, want)
  }
  if (version === 'v1a' && key.type === 'public') return crypto.verify(null, message, key, signature)
  return false
}

// ---------------------------------------------------------------------------------

const MAX_BODY = 1 << 20 // bytes; an event with its result has at most some 300 KB

/** Returns a body. What is too large is read to its end, so that its sender gets the answer, and not kept. */
async function readBody(request) {
  let chunks = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size <= MAX_BODY) chunks.push(chunk)
    else chunks = []
  }
  if (size > MAX_BODY) throw new Refused(413, 'body too large')
  return Buffer.concat(chunks)
}

function parseEvent(body) {
  let event
  try {
    event = JSON.parse(body)
  } catch {
    // Told below.
  }
  if (typeof event?.type !== 'string') throw new Refused(400, 'not an event')
  return event
}

/** Does what there is to do for an event. */
function handle(id, { type, data }) {
  console.log(`${id} ${type} ${data?.id ?? '-'} ${data?.status ?? '-'}`)
}

/**
 * Takes a request. Events come at least once, always with the same id. An application
 * keeps ids in its database, and this one in the transaction of what it does with the
 * event; what takes longer than a few seconds it does after the answer.
 */
async function receive(request, keys, seen, remember) {
  if (request.method !== 'POST') throw new Refused(405, 'events are posted')
  const body = await readBody(request)
  const id = verify(request.headers, body, keys)
  const event = parseEvent(body)
  if (seen.has(id)) return
  handle(id, event)
  seen.add(id)
  if (seen.size > remember) seen.delete(seen.values().next().value)
}

/** Returns a server whose answers tell the sender what to do: 2xx is delivered, all else comes again. */
function newServer(keys, remember) {
  const seen = new Set()
  return createServer({ requestTimeout: 15_000 }, async (request, response) => {
    try {
      await receive(request, keys, seen, remember)
      response.writeHead(204).end()
    } catch (error) {
      const [status, word] = error instanceof Refused ? [error.status, error.message] : [500, 'not handled']
      response.writeHead(status, { 'content-type': 'text/plain', ...(status === 405 && { allow: 'POST' }) }).end(`${word}\n`)
    }
  })
}

function main() {
  const { addr, remember } = parseArgs({
    options: { addr: { type: 'string', default: '127.0.0.1:8090' }, remember: { type: 'string', default: '10000' } },
  }).values
  const [, host, port] = /^(.*):([0-9]+)$/.exec(addr)
  const keys = parseKeys(process.env.PENSTOCK_WEBHOOK_SECRET ?? '')
  const server = newServer(keys, Number(remember))
  server.listen(Number(port), host, () => console.log(`listening on http://${host}:${server.address().port}/`))
}

try {
  main()
} catch (error) {
  console.error(`receiver.mjs: ${error.message}`)
  process.exitCode = 2
}
