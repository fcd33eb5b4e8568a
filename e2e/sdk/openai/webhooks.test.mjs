// Events by way of openai, as a receiver has them. BASE_URL is Penstock.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';

import OpenAI, { toFile } from 'openai';

const client = new OpenAI({ apiKey: 'any', baseURL: process.env.BASE_URL, maxRetries: 0 });
const metadata = { of: 'webhooks.test.mjs' };
const arrived = [];
let receiver, secret;

before(async () => {
  receiver = createServer(async (request, response) => {
    arrived.push({ headers: request.headers, body: await text(request) });
    response.writeHead(204).end();
  });
  await new Promise((listening) => receiver.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${receiver.address().port}/`;
  ({ secret } = await client.post('/webhook-endpoints', { body: { url, types: ['response.*'], metadata } }));
});

after(() => receiver.close());

const until = async (found) => {
  for (;;) {
    const one = await found();
    if (one) return one;
    await new Promise((later) => setTimeout(later, 20));
  }
};

const told = (id) => until(() => arrived.find(({ body }) => body.includes(id)));

const unwrap = ({ body, headers }) => client.webhooks.unwrap(body, headers, secret);

const background = (params) => client.responses.create({ model: 'default', input: 'later', background: true, metadata, ...params });

for (const [type, params] of [
  ['response.completed', {}], ['response.incomplete', { max_output_tokens: 3 }], ['response.failed', { model: 'bad_request' }],
  ['response.completed', { model: 'claude/sim-1' }], ['response.incomplete', { model: 'claude/sim-1', max_output_tokens: 3 }],
  ['response.cancelled', { model: 'odd/slow' }],
]) {
  test(`${type} of ${params.model ?? 'default'}`, async () => {
    const { id } = await background(params);
    if (type === 'response.cancelled') await client.responses.cancel(id);
    const message = await told(id);
    const event = await unwrap(message);
    assert.deepEqual([event.type, event.object, event.data], [type, 'event', { id }]);
    assert.match(event.id, /^evt_/);
    assert.ok(Math.abs(Date.now() / 1000 - event.created_at) < 60);
    assert.equal(`response.${(await client.responses.retrieve(event.data.id)).status}`, type);
    await assert.rejects(client.webhooks.unwrap(`${message.body} `, message.headers, secret), OpenAI.InvalidWebhookSignatureError);
  });
}

test('streamed in the background', async () => {
  const stream = await background({ stream: true });
  let id;
  for await (const e of stream) id ??= e.response?.id;
  assert.equal((await unwrap(await told(id))).type, 'response.completed');
});

test('sent again it is the same', async () => {
  const { id } = await background({});
  const first = await told(id);
  const path = `/deliveries/${first.headers['webhook-id']}`;
  await until(async () => (await client.get(path)).status === 'delivered');
  await client.post(`${path}/redeliver`);
  const again = await until(() => arrived.filter(({ body }) => body.includes(id))[1]);
  assert.equal(again.body, first.body);
  assert.equal(again.headers['webhook-id'], first.headers['webhook-id']);
  assert.equal((await unwrap(again)).data.id, id);
});

test('one that somebody waits for is told as a job alone', async () => {
  const { id } = await client.responses.create({ model: 'default', input: 'now', metadata });
  const last = await background({});
  await told(last.id);
  assert.ok(!arrived.some(({ body }) => body.includes(id)));
});

test('a batch', async () => {
  const url = `http://127.0.0.1:${receiver.address().port}/`;
  const endpoint = await client.post('/webhook-endpoints', { body: { url, types: ['batch.*'] } });
  const line = { custom_id: 'a', method: 'POST', url: '/v1/responses', body: { model: 'default', input: 'line', metadata } };
  const input = await client.files.create({ file: await toFile(Buffer.from(JSON.stringify(line)), 'input.jsonl'), purpose: 'batch' });
  const { id } = await client.batches.create({ input_file_id: input.id, endpoint: '/v1/responses', completion_window: '24h' });
  const { body, headers } = await told(id);
  const event = await client.webhooks.unwrap(body, headers, endpoint.secret);
  assert.deepEqual([event.type, event.object, event.data.id], ['batch.completed', 'event', id]);
  assert.ok(Math.abs(Date.now() / 1000 - event.created_at) < 60);
});
