// OpenAI's official client for Node.

import OpenAI, { toFile } from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
// Requests that fail name another model than the policy's default: failures count against the model that they name.
import { base, city, key, run } from './run.mjs';

const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0 });
const messages = [{ role: 'user', content: 'What is a café?' }];
const tools = ['weather', 'time'].map((name) => ({ type: 'function', function: { name, parameters: city } }));
const Place = z.object({ city: z.string(), population: z.number() });
const plan = (text) => ({ headers: { 'x-fake': text } });
const chat = (more, options) => client.chat.completions.create({ model: 'auto', messages, ...more }, options);

async function text(stream) {
  let whole = '';
  for await (const chunk of stream) whole += chunk.choices[0]?.delta?.content ?? '';
  return whole;
}

await run({
  async chat() {
    const { data, response } = await chat().withResponse();
    const header = (name) => response.headers.get(name);
    return {
      text: data.choices[0].message.content,
      tokens: data.usage.completion_tokens,
      model: header('x-router-model'),
      decision: header('x-router-decision'),
    };
  },
  async named() {
    return (await chat({ model: 'cheap' })).choices[0].message.content;
  },
  async stream() {
    let [whole, usages] = ['', 0];
    for await (const chunk of await chat({ stream: true })) {
      whole += chunk.choices[0]?.delta?.content ?? '';
      usages += chunk.usage ? 1 : 0;
    }
    return { text: whole, usages };
  },
  async streamWithUsage() {
    let usage;
    const asked = { stream: true, stream_options: { include_usage: true } };
    for await (const chunk of await chat(asked)) usage = chunk.usage ?? usage;
    return usage.completion_tokens;
  },
  async tools() {
    const calls = (await chat({ tools, tool_choice: 'required' })).choices[0].message.tool_calls;
    return calls.map((call) => [call.function.name, Object.keys(JSON.parse(call.function.arguments))]);
  },
  async streamedTools() {
    const stream = client.chat.completions.stream({ model: 'auto', messages, tools, tool_choice: 'required' });
    const { choices } = await stream.finalChatCompletion();
    return choices[0].message.tool_calls.map((call) => call.function.name);
  },
  async turn() {
    const { message } = (await chat({ tools, tool_choice: 'required', parallel_tool_calls: false })).choices[0];
    const result = { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'sunny' };
    return (await chat({ messages: [...messages, message, result], tools })).choices[0].message.content;
  },
  async structured() {
    const format = zodResponseFormat(Place, 'place');
    const { choices } = await client.chat.completions.parse({ model: 'auto', messages, response_format: format });
    return Object.entries(choices[0].message.parsed).map(([name, value]) => [name, typeof value]);
  },
  async responses() {
    const first = await client.responses.create({ model: 'auto', input: 'What is a café?' });
    const next = await client.responses.create({ model: 'auto', input: 'And?', previous_response_id: first.id });
    return { text: first.output_text, previous: next.previous_response_id === first.id };
  },
  async emptyInput() {
    return (await client.responses.create({ model: 'auto', input: '' })).output_text;
  },
  async streamedResponse() {
    const stream = client.responses.stream({ model: 'auto', input: 'What is a café?' });
    return (await stream.finalResponse()).output_text;
  },
  async parsedResponse() {
    const format = zodTextFormat(Place, 'place');
    const { output_parsed } = await client.responses.parse({ model: 'auto', input: 'Where?', text: { format } });
    return typeof output_parsed.city;
  },
  async brokenResponse() {
    const kinds = [];
    const asked = { model: 'cheap', input: 'x', stream: true };
    try {
      for await (const event of await client.responses.create(asked, plan('die-after=4'))) kinds.push(event.type);
    } catch (error) {
      kinds.push(error.constructor.name);
    }
    return kinds.slice(-2);
  },
  async embeddings() {
    const { data } = await client.embeddings.create({ model: 'strong', input: ['a', 'b'], dimensions: 64 });
    return data.map((row) => row.embedding.length);
  },
  async models() {
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    return names;
  },
  async file() {
    const file = await toFile(Buffer.from('{"a": 1}\n'), 'lines.jsonl');
    const { id, filename, bytes } = await client.files.create({ file, purpose: 'batch' });
    return { filename, bytes, same: await (await client.files.content(id)).text() };
  },
  noKey: () => new OpenAI({ baseURL: `${base}/v1`, apiKey: 'rk-no', maxRetries: 0 }).models.list(),
  badRequest: () => chat({ model: '' }),
  noModel: () => chat({ model: 'nowhere-to-be-found' }),
  noPath: () => client.post('/v1/chat/completions', { body: { model: 'auto', messages } }),
  rateLimit: () => chat({ model: 'cheap' }, plan('status=429;retry-after=2')),
  serverError: () => chat({ model: 'cheap' }, plan('status=500')),
  brokenStream: async () => text(await chat({ model: 'cheap', stream: true }, plan('die-after=3'))),
  async timeout() {
    return chat({ model: 'cheap' }, { ...plan('hang'), timeout: 300 });
  },
  async retried() {
    const retrying = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 1 });
    const asked = { model: 'cheap', messages };
    const { choices } = await retrying.chat.completions.create(asked, plan('status=503;times=1;retry-after=0'));
    return choices[0].message.content;
  },
  async abort() {
    const stream = await chat({ model: 'cheap', stream: true, user: 'aborting' }, plan('chunks=500;gap=0.05'));
    for await (const chunk of stream) if (chunk.choices[0]?.delta?.content) stream.controller.abort();
    return stream.controller.signal.aborted;
  },
});
