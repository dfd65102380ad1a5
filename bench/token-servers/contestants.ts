import { join } from 'node:path'
import { PLAN } from '../servers/plan.ts'
import { build } from './build.ts'

/** A server with a route that asks for a token. `kind` says what it is compared as. */
export interface TokenServer {
  readonly name: string
  readonly kind: 'ours' | 'ours by name' | 'whole' | 'bare' | 'javascript' | 'axum' | 'go'
  readonly note: string
  /** How it is started; undefined where that cannot be done here. */
  readonly command: () => Promise<readonly string[] | undefined>
}

const here = (file: string) => join(import.meta.dir, file)

function onBun(name: string, file: string, kind: TokenServer['kind'], note: string): TokenServer {
  return { name, kind, note, command: async () => [process.execPath, here(file), ...PLAN] }
}

function onNode(name: string, file: string, note: string): TokenServer {
  return {
    name,
    kind: 'javascript',
    note,
    command: async () => (Bun.which('node') === null ? undefined : ['node', here(file), ...PLAN]),
  }
}

function built(name: string, folder: 'axum' | 'go', note: string): TokenServer {
  return {
    name,
    kind: folder,
    note,
    command: async () => {
      const program = await build(folder)
      if (program === undefined) return undefined
      return folder === 'go' ? ['env', 'GOMAXPROCS=1', program, ...PLAN] : [program, ...PLAN]
    },
  }
}

export const VESTAL = onBun('vestal', 'vestal.ts', 'ours', 'Elysia with the plugin, on Bun')
const VESTAL_BORING = onBun('vestal, boring', 'vestal-boring.ts', 'ours by name', 'the same with the backend boring')
export const WHOLE_SERVER = onBun(
  'vestal start',
  '../servers/vestal.ts',
  'whole',
  'the whole server: metrics, request ids, models',
)
export const TOKEN_SERVERS: readonly TokenServer[] = [
  VESTAL,
  VESTAL_BORING,
  WHOLE_SERVER,
  onBun('bare Bun.serve', 'bare.ts', 'bare', 'the same check by hand, with a Map'),
  onBun('hono', 'hono.ts', 'javascript', 'on Bun, with its jwt'),
  onBun('elysia', 'elysia-jwt.ts', 'javascript', 'on Bun, with @elysiajs/jwt'),
  onNode('fastify, Node', 'fastify.js', 'with @fastify/jwt and its cache'),
  onBun('fastify, Bun', 'fastify.js', 'javascript', 'with @fastify/jwt and its cache'),
  onNode('express, Node', 'express.js', 'with jsonwebtoken'),
  onBun('express, Bun', 'express.js', 'javascript', 'with jsonwebtoken'),
  built('axum', 'axum', 'Rust, with jsonwebtoken on aws-lc, one thread'),
  built('go', 'go', 'net/http with golang-jwt, GOMAXPROCS=1'),
]
/** Those that are there on every machine, for a quick run. */
export const QUICK_SERVERS: readonly TokenServer[] = TOKEN_SERVERS.filter(
  ({ kind, name }) => kind !== 'axum' && kind !== 'go' && !name.endsWith('Node'),
)
