// Runs the checks of one client and prints their results as one JSON object, by name: {value} or {error}.

export const base = process.env.BASE_URL;
export const key = process.env.API_KEY;
export const city = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

// What a test compares of an error: the class that the client raised, and what it read from the answer.
const told = (error) => ({
  name: error?.name === 'Error' ? error.constructor.name : error?.name,
  class: error?.constructor?.name,
  status: error?.status ?? error?.statusCode ?? null,
  code: error?.code ?? null,
  message: String(error?.message ?? error),
  retryable: error?.isRetryable ?? null,
});

// A check that never settles is an error of its own: the timer also keeps Node from ending before.
const within = (milliseconds, promise) =>
  Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`no end in ${milliseconds} ms`)), milliseconds)),
  ]);

export async function run(checks) {
  const results = {};
  await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      try {
        results[name] = { value: (await within(20_000, check())) ?? null };
      } catch (error) {
        results[name] = { error: told(error) };
      }
    }),
  );
  process.stdout.write(JSON.stringify(results));
  // Connections that are kept alive would hold the process for seconds.
  process.exit(0);
}
