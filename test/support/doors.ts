import type { AnyElysia } from 'elysia'

/** One of the two ways into an app: Elysia compiles a route for each, so suites go through both. */
export interface Door {
  readonly name: 'in memory' | 'over a socket'
  /** Sends a request to a path of the app. */
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>
  /** Base address of the socket, without a slash at the end; `http://localhost` in memory. */
  readonly base: string
  readonly close: () => Promise<void>
}

export const DOORS: readonly ((app: AnyElysia) => Door)[] = [
  (app) => ({
    name: 'in memory',
    base: 'http://localhost',
    fetch: (path, init) => app.handle(new Request(`http://localhost${path}`, init)),
    close: async () => undefined,
  }),
  (app) => {
    app.listen({ port: 0, hostname: '127.0.0.1' })
    const base = `http://127.0.0.1:${app.server?.port}`
    return {
      name: 'over a socket',
      base,
      fetch: (path, init) => fetch(`${base}${path}`, { redirect: 'manual', ...init }),
      close: async () => void (await app.stop(true)),
    }
  },
]

/** A third way in, where a proxy on the same machine comes: a unix socket at a path. */
export function overUnixSocket(path: string): (app: AnyElysia) => Door {
  return (app) => {
    // The casts: neither Elysia's type nor that of `fetch` has Bun's option.
    app.listen({ unix: path } as unknown as { port: number })
    const base = 'http://localhost'
    return {
      name: 'over a socket',
      base,
      fetch: (to, init) => fetch(`${base}${to}`, { redirect: 'manual', unix: path, keepalive: false, ...init } as RequestInit),
      close: async () => void (await app.stop(true)),
    }
  }
}

/** Status and body of a response, which is read as JSON where it is. */
export async function answerOf(response: Response | Promise<Response>): Promise<{ status: number; body: unknown }> {
  const { status, ...rest } = await readResponse(await response)
  return { status, body: rest.body }
}

async function readResponse(response: Response) {
  const text = await response.text()
  try {
    return { status: response.status, body: JSON.parse(text) as unknown }
  } catch {
    return { status: response.status, body: text }
  }
}

/** The three-key body of a failure. */
export function failure(status: number, detail: unknown) {
  return { status, body: { status_code: status, detail, error: null } }
}
