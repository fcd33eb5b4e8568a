// Takes what Penstock sends to a webhook endpoint, verifies it and prints a line for
// each event: its webhook-id, its type, and the job's id and status. Node 18 or later,
// and nothing else.
//
//   PENSTOCK_WEBHOOK_SECRET=whsec_… node receiver.mjs [--addr 127.0.0.1:8090] [--remember 10000]

import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import { Refused, parseKeys, verify } from './verify.mjs'

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
