// The answers to all first tries are lost. …_URL are proxies to Penstock that do so.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

const client = (name) => new OpenAI({ apiKey: 'any', baseURL: process.env[name], maxRetries: 2 });

const messages = [{ role: 'user', content: 'lost' }];

test('a chat completion', async () => {
  const completion = await client('CHAT_URL').chat.completions.create({ model: 'default', messages });
  assert.ok(completion.choices[0].message.content);
});

test('a chat completion, streamed', async () => {
  let text = '';
  const lost = [{ role: 'user', content: 'lost stream' }];
  for await (const chunk of await client('STREAM_URL').chat.completions.create({ model: 'odd/slow', messages: lost, stream: true })) {
    text += chunk.choices[0].delta.content ?? '';
  }
  assert.ok(text);
});

test('embeddings', async () => {
  assert.ok((await client('EMBEDDINGS_URL').embeddings.create({ model: 'default', input: 'lost' })).data.length);
});

test('a response', async () => {
  assert.ok((await client('RESPONSES_URL').responses.create({ model: 'default', input: 'lost' })).output_text);
});

test('a response in the background', async () => {
  const openai = client('BACKGROUND_URL');
  let response = await openai.responses.create({ model: 'default', input: 'lost later', background: true });
  while (['queued', 'in_progress'].includes(response.status)) {
    await new Promise((later) => setTimeout(later, 20));
    response = await openai.responses.retrieve(response.id);
  }
  assert.equal(response.status, 'completed');
});
