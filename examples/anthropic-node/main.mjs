// Asks one question and a small batch of them, by way of Anthropic's SDK. All that is
// Penstock's is the base URL.
import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({ baseURL: process.env.PENSTOCK_URL ?? 'http://127.0.0.1:8080', apiKey: 'any' });

const ask = (prompt) => ({ model: 'default', max_tokens: 256, messages: [{ role: 'user', content: prompt }] });
const text = (message) => message.content.map((block) => block.text).join('');

console.log('chat:', text(await client.messages.create(ask('Name three rivers.'))));

let batch = await client.messages.batches.create({
  requests: [
    { custom_id: 'lake', params: ask('Name a lake.') },
    { custom_id: 'sea', params: ask('Name a sea.') },
  ],
});
while (batch.processing_status !== 'ended') {
  await new Promise((later) => setTimeout(later, 500));
  batch = await client.messages.batches.retrieve(batch.id);
}
console.log('batch:', batch.processing_status, batch.request_counts.succeeded, 'of', 2);
for await (const line of await client.messages.batches.results(batch.id)) {
  console.log(`${line.custom_id}:`, line.result.type === 'succeeded' ? text(line.result.message) : line.result.type);
}
