// Messages by way of @anthropic-ai/sdk. BASE_URL is Penstock; CUT_URL is a proxy to it that
// loses the answer to the first POST.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({ apiKey: 'any', baseURL: process.env.BASE_URL, maxRetries: 0 });

const ask = (model, content) => ({ model, max_tokens: 64, messages: [{ role: 'user', content }] });

const said = (message) => message.content.map((block) => block.text ?? '').join('');

for (const model of ['openai/sim-1', 'claude/sim-1', 'gemini/sim-1']) {
  test(`a message of ${model}`, async () => {
    const message = await client.messages.create(ask(model, 'whole'));
    assert.equal(message.type, 'message');
    assert.equal(message.role, 'assistant');
    assert.match(message.id, /^msg_/);
    assert.ok(['end_turn', 'max_tokens'].includes(message.stop_reason));
    assert.ok(said(message).length > 0);
    assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
    assert.ok(message._request_id);
  });

  test(`a message of ${model}, streamed`, async () => {
    const stream = client.messages.stream(ask(model, 'streamed'));
    const kinds = [];
    let text = '';
    stream.on('streamEvent', (event) => kinds.push(event.type));
    stream.on('text', (piece) => (text += piece));
    const message = await stream.finalMessage();
    assert.equal(text, said(message));
    assert.ok(text.length > 0);
    assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
    assert.ok(message.stop_reason);
    assert.deepEqual(
      kinds.filter((kind, i) => kind !== kinds[i - 1]),
      ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop'],
    );
  });

  test(`the raw stream of ${model}`, async () => {
    const events = [];
    for await (const event of await client.messages.create({ ...ask(model, 'raw'), stream: true })) {
      events.push(event.type);
    }
    assert.equal(events.at(0), 'message_start');
    assert.equal(events.at(-1), 'message_stop');
  });
}

for (const model of ['openai-tools/tools', 'claude-tools/tools']) {
  const tools = [{ name: 'weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } }];

  test(`tools of ${model}`, async () => {
    const message = await client.messages.create({ ...ask(model, 'call both'), tools });
    assert.equal(message.stop_reason, 'tool_use');
    const calls = message.content.filter((block) => block.type === 'tool_use');
    assert.deepEqual(calls.map((call) => [call.name, call.input]), [['weather', { city: 'Oslo' }], ['weather', { city: 'Kairo' }]]);
    const answer = await client.messages.create({
      model, max_tokens: 64, tools,
      messages: [
        { role: 'user', content: 'call both' },
        { role: 'assistant', content: message.content },
        { role: 'user', content: calls.map((call) => ({ type: 'tool_result', tool_use_id: call.id, content: 'sunny' })) },
      ],
    });
    assert.equal(said(answer), 'sunny, sunny');
  });

  test(`tools of ${model}, streamed`, async () => {
    const stream = client.messages.stream({ ...ask(model, 'call both, streamed'), tools });
    let json = '';
    stream.on('inputJson', (piece) => (json += piece));
    const message = await stream.finalMessage();
    const calls = message.content.filter((block) => block.type === 'tool_use');
    assert.deepEqual(calls.map((call) => [call.name, call.input]), [['weather', { city: 'Oslo' }], ['weather', { city: 'Kairo' }]]);
    assert.equal(json, '{"city":"Oslo"}{"city":"Kairo"}');
    assert.equal(message.stop_reason, 'tool_use');
  });
}

test('tokens are counted', async () => {
  const { input_tokens } = await client.messages.countTokens({ model: 'default', messages: [{ role: 'user', content: 'a few words' }] });
  assert.ok(input_tokens > 0 && input_tokens < 100);
});

const failures = [
  ['openai-tools/status-400', Anthropic.BadRequestError, 400, 'invalid_request_error'],
  ['claude-tools/status-401', Anthropic.AuthenticationError, 401, 'authentication_error'],
  ['claude-tools/status-403', Anthropic.PermissionDeniedError, 403, 'permission_error'],
  ['openai-tools/status-404', Anthropic.NotFoundError, 404, 'not_found_error'],
  ['fails', Anthropic.InternalServerError, 500, 'api_error'],
  ['no-such-model', Anthropic.NotFoundError, 404, 'not_found_error'],
];

for (const [model, type, status, name] of failures) {
  // Streamed, a provider that fails is waited for while pings come.
  for (const stream of status === 500 ? [false] : [false, true]) {
    test(`${model} is ${name}, stream ${stream}`, async () => {
      // The default is to retry: Penstock has done so, and says it.
      const patient = client.withOptions({ maxRetries: 2 });
      await assert.rejects(patient.messages.create({ ...ask(model, 'fail'), stream }), (err) => {
        assert.ok(err instanceof type, `${err.constructor.name}: ${err.message}`);
        assert.equal(err.status, status);
        assert.equal(err.type, name);
        assert.equal(err.error.type, 'error');
        assert.equal(err.error.request_id, err.requestID);
        assert.ok(err.requestID);
        return true;
      });
    });
  }
}

test('what is wrong with a request is named', async () => {
  await assert.rejects(client.messages.create({ model: 'default', messages: [{ role: 'user', content: 'x' }] }), (err) => {
    assert.ok(err instanceof Anthropic.BadRequestError);
    assert.match(err.error.error.message, /^max_tokens: /);
    return true;
  });
  await assert.rejects(client.post('/v1/messages/nothing', { body: {} }), Anthropic.NotFoundError);
});

test('a provider that breaks off is an error in the stream', async () => {
  const stream = client.messages.stream(ask('claude-tools/breaks-off', 'x'));
  await assert.rejects(stream.finalMessage(), (err) => {
    assert.ok(err instanceof Anthropic.APIError, err.constructor.name);
    return true;
  });
});

test('a lost answer is not asked for twice', async () => {
  const cut = new Anthropic({ apiKey: 'any', baseURL: process.env.CUT_URL });
  const message = await cut.messages.create(ask('counted/once', 'lost'));
  assert.equal(said(message), 'call 1');
  // Who asks again wants another answer.
  assert.equal(said(await cut.messages.create(ask('counted/once', 'lost'))), 'call 2');
});

test('a retry waits for what is under way', async () => {
  const hasty = client.withOptions({ timeout: 300, maxRetries: 5 });
  assert.equal(said(await hasty.messages.create(ask('counted/slow', 'hasty'))), 'call 1');
});
