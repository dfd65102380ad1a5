import { generateKeyPairSync } from 'node:crypto'
import { ALGORITHMS, type Algorithm } from '../../src/jose/algorithms.ts'
import { splitCompact } from '../../src/jose/compact.ts'
import { importKeys } from '../../src/jose/key-set.ts'
import type { Key } from '../../src/jose/keys.ts'
import { signJwt } from '../../src/jose/sign.ts'
import { createSignatureCheck } from '../../src/jose/signature-backends.ts'
import { interleave, type Rounds, type Work } from '../harness/measure.ts'
import { type Occasion, reportTable } from '../harness/report.ts'

const BACKENDS = ['native', 'boring', 'wasm'] as const
const TOKENS = 64

/** What the signature alone costs with each signature backend, for each algorithm: what `auto` is decided by. */
export async function reportSignatureBackends(rounds: Rounds, occasion: Occasion): Promise<void> {
  const rows: string[][] = []
  for (const algorithm of Object.keys(ALGORITHMS) as Algorithm[]) {
    const figures = await interleave(worksOf(algorithm), { ...rounds, roundMs: rounds.roundMs / 3 })
    const cells = BACKENDS.map((signatureBackend) => figures.get(signatureBackend)?.median)
    const least = Math.min(...cells.map((value) => value ?? Number.POSITIVE_INFINITY))
    rows.push([algorithm, ...cells.map((value) => cellOf(value, least))])
  }
  const text = `ns a signature of a token; the key was imported before. The fastest is bold. ${TOKENS} different tokens in turn.`
  reportTable({ id: 'verify-backends', title: 'Signature backends', text, head: ['', ...BACKENDS], rows }, occasion)
}

function cellOf(value: number | undefined, least: number): string {
  if (value === undefined) return 'not offered'
  const text = Math.round(value).toLocaleString('en').replaceAll(',', ' ')
  return value === least ? `**${text}**` : text
}

function worksOf(algorithm: Algorithm): Work[] {
  const key = keyFor(algorithm)
  const tokens = Array.from({ length: TOKENS }, (_, index) =>
    splitCompact(signJwt({ sub: 'bench', jti: `token-${index}`, data: { permissions: ['model:iris:predict'] } }, key), {}),
  )
  return BACKENDS.flatMap((signatureBackend) => {
    const check = attempt(() => createSignatureCheck(key, algorithm, { signatureBackend }))
    if (check === undefined) return []
    if (!tokens.every(check)) throw new Error(`${signatureBackend} refuses a good ${algorithm} token`)
    const run = (times: number) => {
      let seen = 0
      for (let index = 0; index < times; index += 1) if (check(tokens[index % TOKENS] as (typeof tokens)[0])) seen += 1
      return seen
    }
    return [{ name: signatureBackend, run }]
  })
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    // A signature backend that does not offer an algorithm says so by throwing.
    return undefined
  }
}

function keyFor(algorithm: Algorithm): Key {
  const { kind, curve = '', hashBytes } = ALGORITHMS[algorithm]
  if (kind === 'oct') return importKeys(Buffer.alloc(hashBytes, 's'), { algorithm })[0] as Key
  const pair =
    kind === 'RSA'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : kind === 'EC'
        ? generateKeyPairSync('ec', { namedCurve: curve })
        : generateKeyPairSync('ed25519')
  return importKeys(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), { algorithm })[0] as Key
}
