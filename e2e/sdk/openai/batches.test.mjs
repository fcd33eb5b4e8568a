// Files and batches by way of openai. BASE_URL is Penstock.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI, { toFile } from 'openai';

const client = new OpenAI({ apiKey: 'any', baseURL: process.env.BASE_URL, maxRetries: 0 });

const line = (n, body, url = '/v1/chat/completions') => JSON.stringify({ custom_id: `line-${n}`, method: 'POST', url, body });

const chat = (n, model = 'default') => line(n, { model, messages: [{ role: 'user', content: `batch ${n}` }] });

const upload = async (lines, extra = {}) =>
  client.files.create({ file: await toFile(Buffer.from(lines.join('\n')), 'input.jsonl'), purpose: 'batch', ...extra });

const ended = async (id) => {
  for (;;) {
    const batch = await client.batches.retrieve(id);
    if (['completed', 'failed', 'cancelled', 'expired'].includes(batch.status)) return batch;
    await new Promise((later) => setTimeout(later, 50));
  }
};

const content = async (id) => {
  const text = await (await client.files.content(id)).text();
  return text.trimEnd().split('\n').map((one) => JSON.parse(one));
};

test('files', async () => {
  const lines = [chat(1), chat(2)];
  const file = await upload(lines, { expires_after: { anchor: 'created_at', seconds: 3600 } });
  assert.match(file.id, /^file-[0-9a-f]{32}$/);
  assert.deepEqual(
    [file.object, file.filename, file.purpose, file.bytes, file.status],
    ['file', 'input.jsonl', 'batch', lines.join('\n').length, 'processed'],
  );
  assert.equal(file.expires_at, file.created_at + 3600);
  assert.equal(await (await client.files.content(file.id)).text(), lines.join('\n'));
  assert.deepEqual(await client.files.retrieve(file.id), file);
  assert.deepEqual(await client.files.waitForProcessing(file.id), file);
  const others = [await upload([chat(3)]), await upload([chat(4)])];
  const listed = [];
  for await (const one of client.files.list({ limit: 1, order: 'asc', purpose: 'batch' })) listed.push(one.id);
  assert.deepEqual(listed.filter((id) => [file, ...others].some((one) => one.id === id)), [file, ...others].map((one) => one.id));
  assert.equal((await client.files.list({ limit: 1 })).data[0].id, others[1].id);
  assert.deepEqual(await client.files.delete(file.id), { id: file.id, object: 'file', deleted: true });
  await assert.rejects(client.files.retrieve(file.id), OpenAI.NotFoundError);
  await assert.rejects(client.files.content(file.id), OpenAI.NotFoundError);
});

test('what is wrong with an upload is named', async () => {
  const file = await toFile(Buffer.from('x'), 'x.jsonl');
  await assert.rejects(client.files.create({ file, purpose: 'assistants' }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, 'purpose');
    return true;
  });
  await assert.rejects(
    client.files.create({ file, purpose: 'batch', expires_after: { anchor: 'created_at', seconds: 5 } }), OpenAI.BadRequestError,
  );
  await assert.rejects(client.post('/files', { body: { purpose: 'batch' } }), OpenAI.BadRequestError);
});

test('a batch', async () => {
  const input = await upload([chat(1), chat(2, 'bad_request'), chat(3), chat(1).replace('line-1', 'line-4')]);
  const batch = await client.batches.create({
    input_file_id: input.id, endpoint: '/v1/chat/completions', completion_window: '24h', metadata: { a: 'b' },
  });
  assert.match(batch.id, /^batch_[0-9a-f]{32}$/);
  assert.deepEqual([batch.object, batch.errors, batch.metadata], ['batch', null, { a: 'b' }]);
  const done = await ended(batch.id);
  assert.equal(done.status, 'completed');
  assert.deepEqual(done.request_counts, { total: 4, completed: 3, failed: 1 });
  assert.ok(done.in_progress_at && done.completed_at && done.expires_at && done.usage.total_tokens > 0);
  const output = await content(done.output_file_id);
  assert.deepEqual(output.map((one) => one.custom_id), ['line-1', 'line-3', 'line-4']);
  for (const { response, error } of output) {
    assert.deepEqual([response.status_code, error], [200, null]);
    assert.ok(response.body.choices[0].message.content && response.request_id);
  }
  const [failed, ...rest] = await content(done.error_file_id);
  assert.deepEqual([failed.custom_id, failed.response.status_code, failed.response.body.error.code, rest.length], ['line-2', 400, 'bad_request', 0]);
  assert.equal((await client.files.retrieve(done.output_file_id)).purpose, 'batch_output');
  const again = await client.post(`/batches/${batch.id}/retry`);
  assert.equal(again.status, 'in_progress');
  assert.deepEqual((await ended(batch.id)).request_counts, done.request_counts);
  assert.deepEqual(await content(done.output_file_id), output);
});

test('a batch of responses, and one of embeddings', async () => {
  for (const endpoint of ['/v1/responses', '/v1/embeddings']) {
    const input = await upload([line(1, { model: 'default', input: 'one' }, endpoint)]);
    const done = await ended((await client.batches.create({ input_file_id: input.id, endpoint, completion_window: '1h' })).id);
    const [{ response }] = await content(done.output_file_id);
    assert.equal(response.status_code, 200);
    if (endpoint === '/v1/responses') assert.equal((await client.responses.retrieve(response.body.id)).id, response.body.id);
  }
});

test('lines that are no good', async () => {
  const input = await upload([chat(1), chat(1), '{"custom_id":', line(4, { model: 'nothing', messages: [] })]);
  const { id } = await client.batches.create({ input_file_id: input.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
  const failed = await ended(id);
  assert.equal(failed.status, 'failed');
  assert.deepEqual(failed.errors.data.map((e) => e.line), [2, 3, 4]);
  assert.ok(failed.failed_at && failed.errors.data.every((e) => e.code && e.message));
  assert.deepEqual([failed.output_file_id, failed.error_file_id], [null, null]);
});

test('cancelled, paused and resumed', async () => {
  const input = await upload(Array.from({ length: 200 }, (_, n) => chat(n, 'odd/slow')));
  const { id } = await client.batches.create({ input_file_id: input.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
  assert.equal((await client.post(`/batches/${id}/pause`)).paused, true);
  assert.equal((await client.post(`/batches/${id}/resume`)).paused, false);
  assert.ok(['cancelling', 'cancelled'].includes((await client.batches.cancel(id)).status));
  const done = await ended(id);
  assert.equal(done.status, 'cancelled');
  assert.ok(done.cancelling_at && done.cancelled_at);
  if (done.request_counts.failed > 0) {
    const lines = await content(done.error_file_id);
    assert.equal(lines.length, done.request_counts.failed);
    assert.ok(lines.every((one) => one.error || one.response.body.error));
  }
});

test('lists of batches', async () => {
  const input = await upload([chat(1)]);
  const ids = [];
  for (let n = 0; n < 3; n++) {
    ids.unshift((await client.batches.create({ input_file_id: input.id, endpoint: '/v1/chat/completions', completion_window: '24h' })).id);
  }
  const listed = [];
  for await (const batch of client.batches.list({ limit: 2 })) listed.push(batch.id);
  assert.deepEqual(listed.slice(0, 3), ids);
  assert.equal(new Set(listed).size, listed.length);
});

test('what is wrong with a batch is named', async () => {
  const input = await upload([chat(1)]);
  const create = (extra) => client.batches.create({ input_file_id: input.id, endpoint: '/v1/chat/completions', completion_window: '24h', ...extra });
  for (const [extra, param] of [[{ input_file_id: 'file-none' }, 'input_file_id'], [{ endpoint: '/v1/none' }, 'endpoint'], [{ novelty: 1 }, 'novelty']]) {
    await assert.rejects(create(extra), (error) => error instanceof OpenAI.BadRequestError && error.param === param);
  }
  await assert.rejects(client.batches.retrieve('batch_none'), OpenAI.NotFoundError);
  await assert.rejects(client.batches.cancel(`batch_${'0'.repeat(32)}`), OpenAI.NotFoundError);
});
