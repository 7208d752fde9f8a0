/** Calls of the HTTP API with the key of the session. */
import { signal } from "@preact/signals";
import { events, type ServerEvent } from "../lib/sse";
import { adminKey, tenantKey } from "../session";

/** An error of the API, with the server's own words. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** The HTTP status; 0: the server was not reached. */
    readonly status: number,
    readonly code: string | null = null,
    readonly param: string | null = null,
  ) {
    super(message);
  }
}

export interface CallOptions {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  body?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Use the admin key instead of the tenant's. */
  admin?: boolean;
  /** Use this key instead, which is not that of the session yet. */
  key?: string;
}

/** False from a call that did not reach the server, or found its database away, until one that did. */
export const reachable = signal(true);
/** The message of the call that set `reachable` to false. */
export const outage = signal("");

/** Send a request and return the response. Raises `ApiError` for every status that is not a success. */
export async function call(path: string, options: CallOptions = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  const key = options.key ?? (options.admin === true ? adminKey.value : tenantKey.value);
  if (key !== null) headers.set("authorization", `Bearer ${key}`);
  if (options.json !== undefined) headers.set("content-type", "application/json");
  let response: Response;
  try {
    response = await fetch(path, {
      method: options.method ?? (options.json === undefined && options.body === undefined ? "GET" : "POST"),
      headers,
      body: options.json === undefined ? (options.body ?? null) : JSON.stringify(options.json),
      signal: options.signal ?? null,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw away(new ApiError("The server was not reached.", 0));
  }
  if (!response.ok) {
    const error = await errorOf(response);
    throw response.status === 503 ? away(error) : error;
  }
  reachable.value = true;
  return response;
}

/** Send a request and return the JSON of the answer. */
export async function json<T>(path: string, options: CallOptions = {}): Promise<T> {
  const response = await call(path, options);
  return (await response.json()) as T;
}

/** Send a request and yield the server-sent events of the answer; `onOpen` is called when it begins. */
export async function* stream(
  path: string,
  options: CallOptions & { onOpen?: () => void } = {},
): AsyncGenerator<ServerEvent> {
  const response = await call(path, options);
  options.onOpen?.();
  yield* events(response);
}

function away(error: ApiError): ApiError {
  reachable.value = false;
  outage.value = error.message;
  return error;
}

async function errorOf(response: Response): Promise<ApiError> {
  try {
    const body = (await response.json()) as { error?: { message?: string; code?: string; param?: string } };
    if (typeof body.error?.message === "string") {
      return new ApiError(
        body.error.message,
        response.status,
        body.error.code ?? null,
        body.error.param ?? null,
      );
    }
  } catch {
    // The body is not JSON: the status has to do.
  }
  return new ApiError(`The server answered ${response.status}.`, response.status);
}
