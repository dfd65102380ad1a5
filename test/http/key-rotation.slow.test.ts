import { afterAll, describe, expect, test } from 'bun:test'
import { signJwt } from '../../src/index.ts'
import { generateKey } from '../../src/jose/generate-key.ts'
import { addKey, type KeyRing, revoke, rotate, stateIn, verifyingIn } from '../../src/jose/key-ring.ts'
import { importJwk, type Key } from '../../src/jose/keys.ts'
import { publicKeySet } from '../../src/jose/public-key-set.ts'
import { DOORS } from '../support/doors.ts'
import { below, seeded } from '../support/seed.ts'
import { bundledEngine, createServer } from '../support/server.ts'

const engine = await bundledEngine()
afterAll(() => engine.stop())

const NOW = Math.floor(Date.now() / 1000)
/** Requests in all, over a socket a part of them: the two doors share the check of tokens. */
const REQUESTS = { 'in memory': 100_000, 'over a socket': 5000 }
const ROTATIONS = 5
const TOKENS_A_KEY = 8
const AT_ONCE = 50

/** A server whose keys are those of a ring, and the tokens that each of its keys has signed. */
class RotatingServer {
  ring: KeyRing = { keys: [] }
  readonly tokens = new Map<string, readonly string[]>()
  #tell: (keys: readonly Key[]) => void = () => undefined
  #published = publicKeySet([])
  readonly app

  constructor() {
    this.generate()
    const subscribe = (listener: (keys: readonly Key[]) => void) => {
      this.#tell = listener
    }
    this.app = createServer(engine, {
      authentication: { keys: this.keys() },
      ownKeys: { published: () => this.#published, subscribe },
    })
  }

  keys(): readonly Key[] {
    return verifyingIn(this.ring, NOW).map(({ publicJwk, algorithm }) => importJwk(publicJwk ?? {}, { algorithm }))
  }

  generate(): void {
    const key = { ...generateKey('EdDSA'), createdAt: NOW }
    this.ring = addKey(this.ring, key, { now: NOW })
    const claims = { sub: 'me', data: { permissions: ['my-permission-name'] } }
    this.tokens.set(
      key.kid,
      Array.from({ length: TOKENS_A_KEY }, () => signJwt(claims, key.secret, { lifetimeSeconds: 3600 })),
    )
  }

  change(ring: KeyRing): void {
    this.ring = ring
    const keys = this.keys()
    this.#published = publicKeySet(keys)
    this.#tell(keys)
  }
}

for (const open of DOORS) {
  const server = new RotatingServer()
  const door = open(server.app)
  afterAll(door.close)

  describe(`keys that change, ${door.name}`, () => {
    const ask = async (token: string) =>
      (await door.fetch('/private/info/', { headers: { authorization: `Bearer ${token}` } })).status

    test('a token that is remembered is rejected at the next request after its key is revoked', async () => {
      const kid = stateIn(server.ring, 'active')?.kid ?? ''
      const [token = ''] = server.tokens.get(kid) ?? []
      for (let round = 0; round < 3; round++) expect(await ask(token)).toBe(200)
      server.generate()
      server.change(revoke(server.ring, kid, { now: NOW }))
      expect(await ask(token)).toBe(401)
    })

    test(`${REQUESTS[door.name]} requests while keys rotate ${ROTATIONS} times: none rejected wrongly, none accepted wrongly`, async () => {
      const random = seeded(`rotation ${door.name}`)
      const total = REQUESTS[door.name]
      const wrong: string[] = []
      const counts = { accepted: 0, refused: 0 }
      const pick = <T>(list: readonly T[]): T => list[below(random, list.length)] as T
      const one = async () => {
        const [kid, tokens] = pick([...server.tokens])
        const key = server.ring.keys.find((candidate) => candidate.kid === kid)
        const token = pick(tokens)
        const isForged = below(random, 10) === 0
        // A forged one has the signature of another token of the same key.
        const sent = isForged
          ? `${token.slice(0, token.lastIndexOf('.'))}${pick(tokens.filter((t) => t !== token)).slice(-87)}`
          : token
        const expected = key?.state !== 'revoked' && !isForged ? 200 : 401
        const status = await ask(sent)
        counts[status === 200 ? 'accepted' : 'refused'] += 1
        if (status !== expected) wrong.push(`${key?.state} ${isForged ? 'forged' : 'good'}: ${status}, not ${expected}`)
      }
      let sent = 0
      for (let rotation = 0; rotation <= ROTATIONS; rotation++) {
        for (; sent < (total * (rotation + 1)) / (ROTATIONS + 1); sent += AT_ONCE) {
          await Promise.all(Array.from({ length: AT_ONCE }, one))
        }
        if (rotation === ROTATIONS) break
        server.generate()
        server.change(server.ring)
        await Promise.all(Array.from({ length: AT_ONCE }, one))
        server.change(rotate(server.ring, { now: NOW }))
        const oldest = server.ring.keys.find(({ state }) => state === 'retired')
        if (rotation % 2 === 1 && oldest !== undefined) server.change(revoke(server.ring, oldest.kid, { now: NOW }))
      }
      expect([wrong.slice(0, 5), random.seed]).toEqual([[], random.seed])
      expect(counts.accepted + counts.refused).toBeGreaterThanOrEqual(total)
      expect(counts.refused).toBeGreaterThan(total / 20)
      expect(counts.accepted).toBeGreaterThan(total / 4)
    })
  })
}
