// Responses by way of openai. BASE_URL is Penstock.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

const client = new OpenAI({ apiKey: 'any', baseURL: process.env.BASE_URL, maxRetries: 0 });

const ended = async (id) => {
  for (;;) {
    const response = await client.responses.retrieve(id);
    if (!['queued', 'in_progress'].includes(response.status)) return response;
    await new Promise((later) => setTimeout(later, 20));
  }
};

const collect = async (stream) => {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
};

const said = (events) => events.filter((e) => e.type === 'response.output_text.delta').map((e) => e.delta).join('');

// claude and chatty have chat completions alone: their answers are translated.
for (const model of ['default', 'claude/sim-1']) {
  test(`a response of ${model}`, async () => {
    const response = await client.responses.create({ model, input: 'whole', metadata: { a: 'b' } });
    assert.match(response.id, /^resp_[0-9a-f]{32}$/);
    assert.deepEqual([response.object, response.status, response.background, response.store], ['response', 'completed', false, true]);
    assert.deepEqual(response.metadata, { a: 'b' });
    assert.ok(response.output_text.length > 0 && response.usage.total_tokens > 0);
    assert.deepEqual(await client.responses.retrieve(response.id), { ...response, output_text: response.output_text });
  });

  test(`a response of ${model}, streamed`, async () => {
    const events = await collect(await client.responses.create({ model, input: 'streamed', stream: true }));
    assert.deepEqual(
      events.map((e) => e.type).filter((kind, i, all) => kind !== all[i - 1]),
      [
        'response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added',
        'response.output_text.delta', 'response.output_text.done', 'response.content_part.done', 'response.output_item.done', 'response.completed',
      ],
    );
    assert.deepEqual(events.map((e) => e.sequence_number), events.map((_, i) => i));
    const { response } = events.at(-1);
    assert.equal(said(events), response.output[0].content[0].text);
    assert.equal(events[2].item.id, response.output[0].id);
    assert.equal((await client.responses.retrieve(response.id)).output_text, said(events));
  });

  test(`a response of ${model}, by the SDK's own accumulator`, async () => {
    const stream = client.responses.stream({ model, input: 'accumulated' });
    let text = '';
    stream.on('response.output_text.delta', (event) => (text += event.delta));
    const response = await stream.finalResponse();
    assert.equal(response.output_text, text);
  });

  test(`a response of ${model} in the background`, async () => {
    const response = await client.responses.create({ model, input: 'later', background: true, metadata: { a: 'b' } });
    assert.ok(['queued', 'in_progress'].includes(response.status));
    assert.equal(response.background, true);
    const done = await ended(response.id);
    assert.deepEqual([done.id, done.status, done.background, done.error], [response.id, 'completed', true, null]);
    assert.deepEqual(done.metadata, { a: 'b' });
    assert.ok(done.output_text.length > 0);
  });
}

for (const model of ['odd/slow', 'chatty/slow']) {
  test(`a stream of ${model} goes on where it was cut`, async () => {
    const first = [];
    const stream = await client.responses.create({ model, input: 'cut me', background: true, stream: true });
    for await (const event of stream) {
      first.push(event);
      if (said(first).length > 20) break;
    }
    const { id } = first[0].response;
    const cut = first.at(-1).sequence_number;
    assert.equal(first[1].type, 'response.queued');
    const rest = await collect(await client.responses.retrieve(id, { stream: true, starting_after: cut }));
    const whole = await collect(await client.responses.retrieve(id, { stream: true }));
    assert.deepEqual([...first, ...rest].map((e) => [e.sequence_number, e.type, e.delta]), whole.map((e) => [e.sequence_number, e.type, e.delta]));
    const done = await client.responses.retrieve(id);
    assert.equal(done.output_text, said(whole));
    assert.ok(first.length + 5 < whole.length);
    for (const after of [0, 3, cut, whole.at(-1).sequence_number]) {
      const again = await collect(await client.responses.retrieve(id, { stream: true, starting_after: after }));
      assert.deepEqual(again.map((e) => e.sequence_number), whole.slice(after + 1).map((e) => e.sequence_number));
    }
  });
}

test('cancelled', async () => {
  const { id } = await client.responses.create({ model: 'odd/slow', input: 'cancel', background: true });
  assert.equal((await client.responses.cancel(id)).status, 'cancelled');
  assert.equal((await client.responses.cancel(id)).status, 'cancelled');
  assert.equal((await client.responses.retrieve(id)).status, 'cancelled');
  const events = await collect(await client.responses.retrieve(id, { stream: true }));
  assert.equal(events.at(-1).type, 'response.failed');
});

test('deleted', async () => {
  const done = await client.responses.create({ model: 'default', input: 'delete' });
  await client.responses.delete(done.id);
  await assert.rejects(client.responses.retrieve(done.id), OpenAI.NotFoundError);
  const live = await client.responses.create({ model: 'odd/slow', input: 'delete', background: true });
  await client.responses.delete(live.id);
  await assert.rejects(client.responses.cancel(live.id), OpenAI.NotFoundError);
});

test('input items', async () => {
  const input = [
    { role: 'user', content: 'one' }, { role: 'assistant', content: 'two' },
    { role: 'user', content: [{ type: 'input_text', text: 'three' }] },
  ];
  const { id } = await client.responses.create({ model: 'default', input });
  const items = [];
  for await (const item of client.responses.inputItems.list(id, { limit: 1, order: 'asc' })) items.push(item);
  assert.deepEqual(items.map((item) => [item.type, item.role, item.content[0].text]), [
    ['message', 'user', 'one'], ['message', 'assistant', 'two'], ['message', 'user', 'three'],
  ]);
  const latest = await client.responses.inputItems.list(id);
  assert.deepEqual(latest.data.map((item) => item.id), items.map((item) => item.id).reverse());
  const text = await client.responses.create({ model: 'default', input: 'text' });
  assert.equal((await client.responses.inputItems.list(text.id)).data[0].content[0].text, 'text');
});

test('failed', async () => {
  await assert.rejects(client.responses.create({ model: 'bad_request', input: 'x' }), OpenAI.BadRequestError);
  await assert.rejects(client.responses.create({ model: 'bad_request', input: 'x', stream: true }), OpenAI.BadRequestError);
  const { id } = await client.responses.create({ model: 'bad_request', input: 'x', background: true });
  const failed = await ended(id);
  assert.deepEqual([failed.status, failed.error.code], ['failed', 'invalid_prompt']);
  const events = await collect(await client.responses.retrieve(id, { stream: true }));
  assert.equal(events.at(-1).type, 'response.failed');
  assert.equal(events.at(-1).response.error.code, 'invalid_prompt');
});

test('at the bound of the request', async () => {
  const response = await client.responses.create({ model: 'default', input: 'long', max_output_tokens: 3 });
  assert.deepEqual([response.status, response.incomplete_details], ['incomplete', { reason: 'max_output_tokens' }]);
});

test('what is not supported is named', async () => {
  await assert.rejects(client.responses.create({ model: 'default', input: 'x', previous_response_id: 'resp_1' }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, 'previous_response_id');
    return true;
  });
  await assert.rejects(client.responses.retrieve('resp_none'), OpenAI.NotFoundError);
  const chat = await client.chat.completions.create({ model: 'default', messages: [{ role: 'user', content: 'x' }] }).withResponse();
  await assert.rejects(client.responses.retrieve(chat.response.headers.get('penstock-job')), OpenAI.NotFoundError);
});
