import { describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JwkSet } from '../../src/index.ts'
import { Workplace } from '../support/command-line.ts'
import { until } from '../support/until.ts'

const ID = '497f6eca-6276-4993-bfeb-53cbbbba6f08'
const ROTATIONS = 5
const CLIENTS = 8

interface Row {
  readonly kid: string
  readonly state: string
}

class Client {
  readonly base: string

  constructor(base: string) {
    this.base = base
  }

  /** Signs in, and gives the token. */
  async token(): Promise<string> {
    const answer = await fetch(`${this.base}/auth/`, { method: 'POST', body: JSON.stringify({ id: ID }) })
    return ((await answer.json()) as { token: string }).token
  }

  async ask(token: string): Promise<number> {
    const answer = await fetch(`${this.base}/private/info/`, { headers: { authorization: `Bearer ${token}` } })
    await answer.arrayBuffer()
    return answer.status
  }

  async published(): Promise<readonly unknown[]> {
    return ((await (await fetch(`${this.base}/.well-known/jwks.json`)).json()) as JwkSet).keys.map(({ kid }) => kid)
  }

  /** Waits until the server has taken a change of its keys up. */
  async untilPublished(isTakenUp: (kids: readonly unknown[]) => boolean): Promise<void> {
    await until(async () => isTakenUp(await this.published()))
  }
}

function keys(place: Workplace, args: readonly string[]): readonly Row[] {
  const { stdout, stderr, exitCode } = place.run(['keys', ...args, '--json'])
  expect([exitCode, stderr.replace(/^warning: (?:no key was next|verifiers may keep).*\n/, '')]).toEqual([0, ''])
  return (JSON.parse(stdout) as { keys: readonly Row[] }).keys
}

function kidOf(token: string): string {
  return (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid
}

/** What a stream says up to and with a text. */
async function readUntil(stream: ReadableStream<Uint8Array>, text: string): Promise<string> {
  const decoder = new TextDecoder()
  let said = ''
  for await (const chunk of stream) {
    said += decoder.decode(chunk, { stream: true })
    if (said.includes(text)) return said
  }
  throw new Error(`the stream ended without ${JSON.stringify(text)}: ${said}`)
}

describe('a running server', () => {
  test('rejects the remembered token of a revoked key, and signs with the next key', async () => {
    using place = new Workplace()
    const [first] = keys(place, ['generate'])
    const { base, child, output } = await place.start()
    expect(output).toContain('data/keys.json, 1 key, signing with ES256')
    const client = new Client(base)
    const token = await client.token()
    expect(kidOf(token)).toBe(first?.kid ?? '')
    for (let round = 0; round < 3; round++) expect(await client.ask(token)).toBe(200)

    const after = keys(place, ['revoke', first?.kid ?? ''])
    await client.untilPublished((kids) => !kids.includes(first?.kid))
    expect(await client.ask(token)).toBe(401)
    const next = await client.token()
    expect(kidOf(next)).toBe(after.find(({ state }) => state === 'active')?.kid ?? '')
    expect(await client.ask(next)).toBe(200)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('keeps its keys where the file is broken, says so, and takes the next good one', async () => {
    using place = new Workplace()
    keys(place, ['generate'])
    const path = join(place.folder, 'data/keys.json')
    const { base, child } = await place.start()
    const client = new Client(base)
    const token = await client.token()
    const good = readFileSync(path, 'utf8')
    writeFileSync(path, good.replace('"active"', '"asleep"'))
    const warning = await readUntil(child.stderr, 'the old ones stay')
    expect(warning).toContain('data/keys.json: "state" of the key')
    expect(warning).not.toContain('"d"')
    expect(await client.ask(token)).toBe(200)
    writeFileSync(path, good)
    const [, waiting] = keys(place, ['generate'])
    await client.untilPublished((kids) => kids.includes(waiting?.kid))
    expect(await client.ask(token)).toBe(200)
    child.kill('SIGTERM')
    await child.exited
  })

  test(`answers every request rightly while its keys rotate ${ROTATIONS} times under load`, async () => {
    using place = new Workplace()
    keys(place, ['generate'])
    const { base, child } = await place.start()
    const client = new Client(base)
    const kept: string[] = [await client.token()]
    const revoked = new Set<string>()
    const revoking = new Set<string>()
    const wrong: string[] = []
    const load = { isOn: true, requests: 0 }
    const one = async (): Promise<void> => {
      for (let round = 0; load.isOn; round++) {
        const token = round % 3 === 0 ? await client.token() : (kept[(round * 7) % kept.length] ?? '')
        const kid = kidOf(token)
        const [before, wasRevoked] = [revoking.has(kid), revoked.has(kid)]
        const status = await client.ask(token)
        const forged = await client.ask(`${token.slice(0, -8)}AAAAAAAA`)
        load.requests += 2
        if (forged !== 401) wrong.push(`forged: ${forged}`)
        // Between the command and its being taken up either answer is right.
        if (wasRevoked ? status !== 401 : !before && !revoking.has(kid) && status !== 200) wrong.push(`${wasRevoked}: ${status}`)
      }
    }
    const clients = Array.from({ length: CLIENTS }, one)
    for (let rotation = 0; rotation < ROTATIONS; rotation++) {
      const enough = load.requests + 400
      while (load.requests < enough) await client.published()
      kept.push(await client.token())
      const rows = keys(place, ['rotate'])
      const active = rows.find(({ state }) => state === 'active')?.kid ?? ''
      await client.untilPublished((kids) => kids.includes(active))
      expect(kidOf(await client.token())).toBe(active)
      const oldest = rows.find(({ state }) => state === 'retired')?.kid
      if (rotation % 2 === 0 || oldest === undefined) continue
      revoking.add(oldest)
      keys(place, ['revoke', oldest])
      await client.untilPublished((kids) => !kids.includes(oldest))
      revoked.add(oldest)
    }
    load.isOn = false
    await Promise.all(clients)
    expect([wrong, load.requests > 2000, revoked.size]).toEqual([[], true, 2])
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  }, 60_000)
})
