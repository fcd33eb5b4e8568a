// Message batches by way of @anthropic-ai/sdk.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({ apiKey: 'any', baseURL: process.env.BASE_URL, maxRetries: 0 });

const request = (custom_id, model = 'claude/sim-1') => ({
  custom_id, params: { model, max_tokens: 32, messages: [{ role: 'user', content: `of ${custom_id}` }] },
});

const ended = async (id) => {
  for (;;) {
    const batch = await client.messages.batches.retrieve(id);
    if (batch.processing_status === 'ended') return batch;
    await setTimeout(50);
  }
};

const results = async (id) => {
  const all = {};
  for await (const line of await client.messages.batches.results(id)) all[line.custom_id] = line.result;
  return all;
};

test('a batch from its creation to its deletion', async () => {
  const requests = [request('a'), request('b', 'openai/sim-1'), request('c', 'claude-tools/status-400')];
  const created = await client.messages.batches.create({ requests });
  assert.match(created.id, /^msgbatch_/);
  assert.equal(created.type, 'message_batch');
  assert.equal(created.processing_status, 'in_progress');
  assert.equal(created.results_url, null);
  assert.equal(created.request_counts.processing, 3);
  assert.ok(new Date(created.expires_at) > new Date(created.created_at));

  const batch = await ended(created.id);
  assert.deepEqual(batch.request_counts, { processing: 0, succeeded: 2, errored: 1, canceled: 0, expired: 0 });
  assert.ok(batch.ended_at);
  const all = await results(batch.id);
  assert.deepEqual(Object.keys(all), ['a', 'b', 'c']);
  assert.equal(all.a.message.type, 'message');
  assert.equal(all.b.message.type, 'message');
  assert.equal(all.c.type, 'errored');
  assert.equal(all.c.error.error.type, 'invalid_request_error');

  assert.deepEqual(await client.messages.batches.delete(batch.id), { id: batch.id, type: 'message_batch_deleted' });
  await assert.rejects(client.messages.batches.retrieve(batch.id), Anthropic.NotFoundError);
});

test('batches are listed, page by page, both ways', async () => {
  const made = [];
  for (let i = 0; i < 5; i++) made.push((await client.messages.batches.create({ requests: [request(`page-${i}`)] })).id);
  const older = [];
  for await (const batch of client.messages.batches.list({ limit: 2 })) older.push(batch.id);
  assert.deepEqual(older.slice(0, 5), [...made].reverse());
  const newer = [];
  for await (const batch of client.messages.batches.list({ limit: 2, before_id: made[0] })) newer.push(batch.id);
  assert.deepEqual(newer.sort(), made.slice(1).sort());
});

test('a batch is cancelled, and deleted once it has ended', async () => {
  const { id } = await client.messages.batches.create({ requests: [request('never', 'counted/stuck'), request('nor', 'counted/stuck')] });
  await assert.rejects(client.messages.batches.delete(id), Anthropic.BadRequestError);
  const cancelled = await client.messages.batches.cancel(id);
  assert.ok(['canceling', 'ended'].includes(cancelled.processing_status));
  assert.ok(cancelled.cancel_initiated_at);
  const batch = await ended(id);
  assert.equal(batch.request_counts.canceled, 2);
  assert.deepEqual(await results(id), { never: { type: 'canceled' }, nor: { type: 'canceled' } });
  await client.messages.batches.delete(id);
});

test('a batch that is no good', async () => {
  for (const requests of [
    [], [request('')], [request('a b')], [request('twice'), request('twice')], [{ custom_id: 'x', params: 'y' }],
  ]) {
    await assert.rejects(client.messages.batches.create({ requests }), Anthropic.BadRequestError);
  }
  const { id } = await client.messages.batches.create({ requests: [request('good'), request('bad', 'no-such-model')] });
  const batch = await ended(id);
  assert.equal(batch.request_counts.errored, 2);
  const all = await results(id);
  assert.match(all.bad.error.error.message, /^params.model: no route or model/);
  assert.match(all.good.error.error.message, /not run/);
});

test('a lost answer makes no second batch', async () => {
  const cut = new Anthropic({ apiKey: 'any', baseURL: process.env.CUT_URL });
  const { id } = await cut.messages.batches.create({ requests: [request('lost')] });
  const lost = [];
  for await (const batch of client.messages.batches.list()) {
    await ended(batch.id);
    if ('lost' in (await results(batch.id))) lost.push(batch.id);
  }
  assert.deepEqual(lost, [id]);
});
