// The Vercel AI SDK, by its provider for compatible servers and by OpenAI's.

import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embed, generateObject, generateText, streamObject, streamText, tool } from 'ai';
import { z } from 'zod';
import { base, key, run } from './run.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;
const settings = { baseURL: `${base}/v1`, apiKey: key };
const compatible = createOpenAICompatible({ name: 'pgrouter', includeUsage: true, supportsStructuredOutputs: true, ...settings });
const openai = createOpenAI(settings);
const asked = { model: compatible('auto'), prompt: 'What is a café?', maxRetries: 0 };
const Place = z.object({ city: z.string(), population: z.number() });
const weather = tool({
  description: 'weather',
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${typeof city}`,
});
const plan = (text) => ({ model: compatible('cheap'), headers: { 'x-fake': text } });
const failed = (error) => { throw error; };

await run({
  async generate() {
    const { text, usage, response } = await generateText(asked);
    return { text, tokens: usage.outputTokens, model: response.headers['x-router-model'] };
  },
  async stream() {
    const result = streamText({ ...asked, onError: () => {} });
    let whole = '';
    for await (const piece of result.textStream) whole += piece;
    return { text: whole, tokens: (await result.usage).outputTokens, reason: await result.finishReason };
  },
  async tools() {
    const { toolCalls, toolResults } = await generateText({ ...asked, tools: { weather }, toolChoice: 'required' });
    return [toolCalls.map((call) => call.toolName), toolResults.map((result) => result.output)];
  },
  async streamedTools() {
    const result = streamText({ ...asked, tools: { weather }, toolChoice: 'required', onError: () => {} });
    return (await result.toolResults).map((each) => each.output);
  },
  async object() {
    const { object } = await generateObject({ ...asked, schema: Place });
    return Object.entries(object).map(([name, value]) => [name, typeof value]);
  },
  async streamedObject() {
    let last;
    const { partialObjectStream } = streamObject({ ...asked, schema: Place, onError: () => {} });
    for await (const object of partialObjectStream) last = object;
    return typeof last.city;
  },
  responses: async () => (await generateText({ ...asked, model: openai.responses('auto') })).text,
  async streamedResponses() {
    const { textStream } = streamText({ ...asked, model: openai.responses('auto'), onError: () => {} });
    let whole = '';
    for await (const piece of textStream) whole += piece;
    return whole;
  },
  chat: async () => (await generateText({ ...asked, model: openai.chat('auto') })).text,
  embed: async () => (await embed({ model: compatible.embeddingModel('strong'), value: 'a' })).embedding.length > 0,
  badRequest: () => generateText({ ...asked, ...plan('status=400') }),
  rateLimit: () => generateText({ ...asked, ...plan('status=429;retry-after=1') }),
  noKey: () => generateText({ ...asked, model: createOpenAI({ ...settings, apiKey: 'rk-no' }).chat('auto') }),
  async brokenStream() {
    let error;
    const result = streamText({ ...asked, ...plan('die-after=3'), onError: (event) => { error = event.error; } });
    for await (const _ of result.textStream);
    return error ? failed(error instanceof Error ? error : new Error(JSON.stringify(error))) : 'no error';
  },
  async abort() {
    const abort = new AbortController();
    const { textStream } = streamText({
      ...asked, ...plan('chunks=500;gap=0.05'), abortSignal: abort.signal, onError: () => {},
    });
    for await (const _ of textStream) abort.abort();
    return abort.signal.aborted;
  },
});
