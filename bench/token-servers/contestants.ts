import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PLAN } from '../servers/plan.ts'
import { build } from './build.ts'

/** A server with a route that asks for a token. `kind` says what it is compared as. */
export interface TokenServer {
  readonly name: string
  readonly kind: 'ours' | 'ours by name' | 'library' | 'whole' | 'bare' | 'javascript' | 'axum' | 'go'
  readonly note: string
  /** How it is started; undefined where that cannot be done here. Without it, it is `bun run start`. */
  readonly command?: () => Promise<readonly string[] | undefined>
}

const here = (file: string) => join(import.meta.dir, file)

/** The version of a package that is installed here. */
function versionOf(name: string): string {
  const file = join(import.meta.dir, '../../node_modules', name, 'package.json')
  // The cast: every package says its version.
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version
}

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
/** The server that the library makes. */
export const APP = onBun('createApp', '../servers/vestal.ts', 'library', 'the server of the library, without a log')
const START: TokenServer = { name: 'vestal start', kind: 'whole', note: '`bun run start` as it is, log to a file that is read' }
const FASTIFY = `fastify ${versionOf('fastify')} with @fastify/jwt ${versionOf('@fastify/jwt')} and its cache`
const EXPRESS = `express ${versionOf('express')} with jsonwebtoken ${versionOf('jsonwebtoken')}`

export const TOKEN_SERVERS: readonly TokenServer[] = [
  VESTAL,
  VESTAL_BORING,
  START,
  APP,
  onBun('bare Bun.serve', 'bare.ts', 'bare', 'the same check by hand, with a Map'),
  onBun('hono', 'hono.ts', 'javascript', `hono ${versionOf('hono')} on Bun, with its jwt`),
  onBun(
    'elysia',
    'elysia-jwt.ts',
    'javascript',
    `elysia ${versionOf('elysia')} on Bun, with @elysiajs/jwt ${versionOf('@elysiajs/jwt')}`,
  ),
  onNode('fastify, Node', 'fastify.js', FASTIFY),
  onBun('fastify, Bun', 'fastify.js', 'javascript', FASTIFY),
  onNode('express, Node', 'express.js', EXPRESS),
  onBun('express, Bun', 'express.js', 'javascript', EXPRESS),
  built('axum', 'axum', 'Rust, with jsonwebtoken on aws-lc, one thread'),
  built('go', 'go', 'net/http with golang-jwt, GOMAXPROCS=1'),
]
/** Those that are there on every machine, for a quick run. */
export const QUICK_SERVERS: readonly TokenServer[] = TOKEN_SERVERS.filter(
  ({ kind, name }) => kind !== 'axum' && kind !== 'go' && !name.endsWith('Node'),
)
