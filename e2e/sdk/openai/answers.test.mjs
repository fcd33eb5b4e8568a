// Models, chat completions, embeddings and errors by way of openai. BASE_URL is Penstock.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

const client = new OpenAI({ apiKey: 'any', baseURL: process.env.BASE_URL, maxRetries: 0 });

const ask = (model, content) => ({ model, messages: [{ role: 'user', content }] });

test('models', async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes('default') && names.includes('openai/sim-1'));
  const model = await client.models.retrieve('openai/sim-1');
  assert.deepEqual([model.id, model.object, model.owned_by], ['openai/sim-1', 'model', 'openai']);
  assert.equal((await client.models.retrieve('default')).owned_by, 'penstock');
  await assert.rejects(client.models.retrieve('nothing'), OpenAI.NotFoundError);
});

for (const model of ['default', 'openai/sim-1', 'claude/sim-1', 'gemini/sim-1']) {
  test(`a chat completion of ${model}`, async () => {
    const completion = await client.chat.completions.create(ask(model, 'whole'));
    assert.equal(completion.object, 'chat.completion');
    assert.ok(completion.choices[0].message.content.length > 0);
    assert.ok(completion.usage.total_tokens > 0);
    assert.ok(completion._request_id);
  });

  test(`a chat completion of ${model}, streamed`, async () => {
    const stream = client.chat.completions.stream({ ...ask(model, 'streamed'), stream_options: { include_usage: true } });
    let text = '';
    stream.on('content', (piece) => (text += piece));
    const completion = await stream.finalChatCompletion();
    assert.equal(completion.choices[0].message.content, text);
    assert.ok(text.length > 0 && completion.choices[0].finish_reason);
    assert.ok(completion.usage.total_tokens > 0);
  });

  test(`the chunks of ${model}, without usage`, async () => {
    let last;
    for await (const chunk of await client.chat.completions.create({ ...ask(model, 'chunks'), stream: true })) {
      assert.equal(chunk.object, 'chat.completion.chunk');
      assert.equal(chunk.usage, undefined);
      assert.equal(chunk.choices.length, 1);
      last = chunk;
    }
    assert.ok(last.choices[0].finish_reason);
  });
}

test('embeddings', async () => {
  const one = await client.embeddings.create({ model: 'default', input: 'text' });
  assert.ok(one.data[0].embedding.length > 0 && one.usage.total_tokens > 0);
  const two = await client.embeddings.create({ model: 'default', input: ['a', 'b'], encoding_format: 'float' });
  assert.equal(two.data.length, 2);
});

const failures = [
  ['bad_request', OpenAI.BadRequestError, 400, 'invalid_request_error', 'bad_request'],
  ['context_length', OpenAI.BadRequestError, 400, 'invalid_request_error', 'context_length_exceeded'],
  ['authentication', OpenAI.AuthenticationError, 401, 'authentication_error', 'authentication'],
  ['permission', OpenAI.PermissionDeniedError, 403, 'permission_error', 'permission'],
  ['not_found', OpenAI.NotFoundError, 404, 'invalid_request_error', 'not_found'],
  ['quota_exhausted', OpenAI.RateLimitError, 429, 'insufficient_quota', 'insufficient_quota'],
  ['server_error', OpenAI.InternalServerError, 500, 'server_error', 'server_error'],
  ['nothing', OpenAI.NotFoundError, 404, 'invalid_request_error', 'model_not_found'],
];

for (const [model, kind, status, type, code] of failures) {
  // A target that has just failed is left alone for a while: the second request would wait.
  for (const stream of model === 'server_error' ? [false] : [false, true]) {
    test(`${model} is ${kind.name}${stream ? ', before a stream' : ''}`, async () => {
      await assert.rejects(client.chat.completions.create({ ...ask(model, 'fail'), stream }), (error) => {
        assert.ok(error instanceof kind, `got ${error}`);
        assert.deepEqual([error.status, error.type, error.code], [status, type, code]);
        assert.deepEqual(Object.keys(error.error).sort(), ['code', 'message', 'param', 'type']);
        assert.equal(error.headers.get('x-should-retry'), 'false');
        assert.equal(error.requestID, error.headers.get('x-request-id'));
        assert.ok(error.requestID);
        return true;
      });
    });
  }
}

test('what is wrong with a request is named', async () => {
  await assert.rejects(client.chat.completions.create({ model: 'default' }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, 'messages');
    return true;
  });
  await assert.rejects(client.get('/batches/none/nothing'), OpenAI.NotFoundError);
  await assert.rejects(client.get('/chat/completions'), (error) => error.status === 405);
});

test('an answer that breaks off is the error of its stream', async () => {
  const stream = await client.chat.completions.create({ ...ask('truncated', 'break off'), stream: true });
  await assert.rejects(
    (async () => {
      for await (const chunk of stream) assert.ok(chunk);
    })(),
    (error) => error instanceof OpenAI.APIError && error.code === 'truncated',
  );
});

test('a stream is aborted', async () => {
  const stream = await client.chat.completions.create({ ...ask('odd/slow', 'abort'), stream: true });
  let n = 0;
  for await (const chunk of stream) {
    assert.ok(chunk);
    if (++n === 3) break;
  }
  assert.ok(stream.controller.signal.aborted);
});

test('a request is aborted', async () => {
  const abort = new AbortController();
  const request = client.chat.completions.create(ask('odd/slow', 'abort at once'), { signal: abort.signal });
  abort.abort();
  await assert.rejects(request, OpenAI.APIUserAbortError);
});
