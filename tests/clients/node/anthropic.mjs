// Anthropic's official client for Node, which adds /v1 to the base URL.

import Anthropic from '@anthropic-ai/sdk';
import { base, city, key, run } from './run.mjs';

const client = new Anthropic({ baseURL: base, apiKey: key, maxRetries: 0 });
const messages = [{ role: 'user', content: 'What is a café?' }];
const asked = { model: 'auto', max_tokens: 99, messages };
const tools = [{ name: 'weather', input_schema: city }];
const plan = (text) => ({ headers: { 'x-fake': text } });

await run({
  async message() {
    const { data, response } = await client.messages.create(asked).withResponse();
    return { text: data.content[0].text, tokens: data.usage.output_tokens, model: response.headers.get('x-router-model') };
  },
  async stream() {
    const { content } = await client.messages.stream(asked).finalMessage();
    return content[0].text;
  },
  async tools() {
    const { content } = await client.messages.create({ ...asked, tools, tool_choice: { type: 'any' } });
    return content.filter((block) => block.type === 'tool_use').map((block) => block.name);
  },
  async beta() {
    return (await client.beta.messages.create({ ...asked, betas: ['context-1m-2025-08-07'] })).content[0].text;
  },
  async count() {
    return (await client.messages.countTokens({ model: 'auto', messages })).input_tokens > 0;
  },
  noKey: () => new Anthropic({ baseURL: base, apiKey: 'rk-no', maxRetries: 0 }).messages.create(asked),
  rateLimit: () => client.messages.create({ ...asked, model: 'cheap' }, plan('status=429')),
  overloaded: () => client.messages.create({ ...asked, model: 'cheap' }, plan('status=529')),
  brokenStream: () => client.messages.stream({ ...asked, model: 'cheap' }, plan('die-after=5')).finalMessage(),
  async abort() {
    const stream = client.messages.stream({ ...asked, model: 'cheap' }, plan('chunks=500;gap=0.05'));
    stream.on('text', () => stream.abort());
    await stream.done().catch(() => {});
    return stream.aborted;
  },
});
