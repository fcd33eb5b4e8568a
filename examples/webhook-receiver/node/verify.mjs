// Verifies what Penstock sends to a webhook endpoint: Standard Webhooks, v1 and v1a.
// Node 18 or later, and nothing else. Copy it.

import * as crypto from 'node:crypto'

const TOLERANCE = 5 * 60 // seconds, both ways

/** What is wrong with a request, and the status to answer with. */
export class Refused extends Error {
  constructor(status, word) {
    super(word)
    this.status = status
  }
}

/**
 * Reads keys separated by spaces: whsec_… (shared secrets, for v1) and whpk_… (public
 * keys, for v1a). There are two while an endpoint's secret is being rotated.
 */
export function parseKeys(text) {
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
 * Returns the webhook-id if one of the signatures was made over the body by one of the
 * keys, within five minutes of now; throws Refused otherwise. headers are those of a
 * request of Node, their names in lower case. body is a Buffer of what came, byte for
 * byte: parsing and printing it again breaks the signature.
 */
export function verify(headers, body, keys, now = Date.now() / 1000) {
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
