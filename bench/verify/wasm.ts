import { verifySync } from '@node-rs/jsonwebtoken'
import { signJwt } from '../../src/jose/sign.ts'
import { loadSignatureChecker } from '../../src/wasm/signatures.js'
import { type Asked, atMost } from '../harness/asked.ts'
import { interleave, type Rounds } from '../harness/measure.ts'
import type { Section } from '../harness/report.ts'
import { SECRET } from '../servers/plan.ts'

const CHARACTERS = 400
const TOKENS = 256

/** Our WebAssembly beside the Rust addon, on HS256 tokens of 400 characters. */
export async function wasmSection(rounds: Rounds): Promise<{ section: Section; asked: Asked }> {
  const tokens = Array.from({ length: TOKENS }, (_, index) => tokenOf(CHARACTERS, `token-${1000 + index}`))
  const checker = await loadSignatureChecker()
  const key = checker.importKey('HS256', Buffer.from(SECRET))
  const bad = `${tokens[0]?.slice(0, -2)}AA`
  const contestants = {
    'vestal/wasm': (token: string) => checker.verify(key, token),
    '@node-rs/jsonwebtoken': (token: string) => verifySync(token, SECRET),
  }
  const refuses = (verify: (token: string) => unknown) => {
    try {
      return verify(bad) === false
    } catch {
      return true
    }
  }
  const works = Object.entries(contestants).map(([name, verify]) => {
    if (!verify(tokens[0] ?? '') || !refuses(verify)) throw new Error(`${name} judges wrongly`)
    const run = (times: number) => {
      let seen = 0
      for (let index = 0; index < times; index += 1) if (verify(tokens[index % TOKENS] ?? '')) seen += 1
      return seen
    }
    return { name, run }
  })
  const figures = await interleave(works, rounds)
  const medianOf = (name: keyof typeof contestants) => figures.get(name)?.median ?? Number.NaN
  return {
    section: {
      id: 'verify-wasm',
      title: 'HS256 in WebAssembly',
      text: `${TOKENS} different tokens of ${CHARACTERS} characters in turn.`,
      unit: 'ns a token',
      isLessBetter: true,
      base: 'vestal/wasm',
      rows: [...figures].map(([name, figure]) => ({
        name,
        note: name === 'vestal/wasm' ? 'the signature alone' : 'claims too, which cannot be left out',
        figure,
      })),
    },
    asked: atMost('HS256 of 400 characters in WebAssembly', 1, {
      value: medianOf('vestal/wasm') / medianOf('@node-rs/jsonwebtoken'),
      unit: '× the time of node-rs',
    }),
  }
}

/** A token of exactly that length: three bytes of padding are four characters. */
function tokenOf(characters: number, jti: string): string {
  for (let pad = 0; pad < characters; pad += 1) {
    const token = signJwt({ sub: 'bench', jti, pad: 'x'.repeat(pad) }, SECRET, { lifetimeSeconds: 3600 })
    if (token.length === characters) return token
  }
  throw new Error('no token has that length')
}
