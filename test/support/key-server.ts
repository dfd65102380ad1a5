import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { signJwt } from '../../src/index.ts'

export interface TestKey {
  readonly kid: string
  /** What an issuer publishes. */
  readonly jwk: Readonly<Record<string, unknown>>
  readonly privateKey: KeyObject
  /** A token signed with this key; its header has the key's name. */
  readonly sign: (claims: Readonly<Record<string, unknown>>, type?: string) => string
}

/** A key pair of ES256 with a name. */
export function testKey(kid: string): TestKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { kid, jwk, privateKey, sign: (claims, type = 'at+jwt') => signJwt(claims, pem, { kid, type }) }
}

/** A JWKS server on loopback that does as it is told. */
export interface KeyServer {
  readonly url: string
  /** Requests that have come. */
  readonly requests: () => number
  /** Answers with these keys from now on. */
  publish(...keys: readonly TestKey[]): void
  /** Answers with this from now on. */
  answer(work: (request: Request) => Response | Promise<Response>): void
  /** Refuses connections from now on. */
  die(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Starts the server; it answers 404 until it is told what to publish. */
export function startKeyServer(...keys: readonly TestKey[]): KeyServer {
  let requests = 0
  let answer: (request: Request) => Response | Promise<Response> = () => new Response(null, { status: 404 })
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request) => {
      requests += 1
      return answer(request)
    },
  })
  const die = async () => void (await server.stop(true))
  const publish = (...published: readonly TestKey[]) => {
    answer = () => Response.json({ keys: published.map(({ jwk }) => jwk) })
  }
  if (keys.length > 0) publish(...keys)
  return {
    url: `http://127.0.0.1:${server.port}/jwks.json`,
    requests: () => requests,
    publish,
    answer: (work) => {
      answer = work
    },
    die,
    [Symbol.asyncDispose]: die,
  }
}

/** Work that was put off, and a way to run it now. */
export class ManualSchedule {
  readonly #waiting = new Set<{ readonly work: () => void; readonly delayMs: number }>()

  readonly schedule = (work: () => void, delayMs: number) => {
    const entry = { work, delayMs }
    this.#waiting.add(entry)
    return () => void this.#waiting.delete(entry)
  }

  /** Delays of what waits, in milliseconds. */
  get delays(): readonly number[] {
    return [...this.#waiting].map(({ delayMs }) => delayMs)
  }

  run(): void {
    for (const entry of [...this.#waiting]) {
      this.#waiting.delete(entry)
      entry.work()
    }
  }
}
