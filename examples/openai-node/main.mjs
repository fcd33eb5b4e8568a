// Asks one question and a small batch of them, by way of OpenAI's SDK. All that is
// Penstock's is the base URL.
import OpenAI, { toFile } from 'openai';

const client = new OpenAI({ baseURL: `${process.env.PENSTOCK_URL ?? 'http://127.0.0.1:8080'}/v1`, apiKey: 'any' });

const ask = (prompt) => ({ model: 'default', messages: [{ role: 'user', content: prompt }] });

const chat = await client.chat.completions.create(ask('Name three rivers.'));
console.log('chat:', chat.choices[0].message.content);

const lines = Object.entries({ lake: 'Name a lake.', sea: 'Name a sea.' }).map(([custom_id, prompt]) =>
  JSON.stringify({ custom_id, method: 'POST', url: '/v1/chat/completions', body: ask(prompt) }));
const file = await client.files.create({ file: await toFile(Buffer.from(lines.join('\n')), 'questions.jsonl'), purpose: 'batch' });
let batch = await client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
while (!['completed', 'failed', 'cancelled', 'expired'].includes(batch.status)) {
  await new Promise((later) => setTimeout(later, 500));
  batch = await client.batches.retrieve(batch.id);
}
console.log('batch:', batch.status, batch.request_counts.completed, 'of', batch.request_counts.total);
const output = await (await client.files.content(batch.output_file_id)).text();
for (const line of output.trimEnd().split('\n').map((one) => JSON.parse(one))) {
  console.log(`${line.custom_id}:`, line.response.body.choices[0].message.content);
}
