import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSettings } from '../../../src/config/load.ts'
import { generateKey } from '../../../src/jose/generate-key.ts'
import { KeyError } from '../../../src/jose/key-error.ts'
import { addKey, type KeyRing, revoke, rotate } from '../../../src/jose/key-ring.ts'
import { formatKeyFile, type StoredSecret } from '../../../src/keys/key-file.ts'
import { createLiveKeys, type LiveKeysOptions } from '../../../src/server/live-keys.ts'
import { createKeyLoader } from '../../../src/server/load-keys.ts'
import { SECRET } from '../../support/tokens.ts'
import { until } from '../../support/until.ts'

type Ring = KeyRing<StoredSecret>
const NOW = Math.floor(Date.now() / 1000)
const fresh = () => ({ ...generateKey('EdDSA'), createdAt: NOW })
const single: Ring = addKey({ keys: [] }, fresh(), { now: NOW })
const double: Ring = addKey(single, fresh(), { now: NOW })
const names = (ring: Ring) => ring.keys.map(({ kid }) => kid)

/** A folder with a key file, and the live keys of it. */
class Place implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'vestal-live-'))
  readonly path = join(this.folder, 'keys.json')
  readonly heard: string[][] = []
  readonly said: string[] = []
  readonly warned: string[] = []

  constructor(content = formatKeyFile({ ring: single })) {
    this.write(content)
  }

  write(content: string): void {
    writeFileSync(`${this.path}.new`, content, { mode: 0o600 })
    renameSync(`${this.path}.new`, this.path)
  }

  live(more: Partial<LiveKeysOptions> = {}) {
    const { settings } = loadSettings({ flags: { keyFile: [this.path] }, environment: {}, directory: this.folder })
    const live = createLiveKeys(createKeyLoader(settings, 'production'), {
      warn: (message) => this.warned.push(message),
      say: (message) => this.said.push(message),
      pollMs: 20,
      ...more,
    })
    live.subscribe((keys) => void this.heard.push(keys.map(({ kid }) => kid ?? '')))
    return live
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

describe('live keys', () => {
  test('take up a file that is replaced, and say so', async () => {
    using place = new Place()
    const live = place.live()
    place.write(formatKeyFile({ ring: double }))
    await until(() => place.heard.length > 0)
    expect([place.heard, live.published().keys.map(({ kid }) => kid)]).toEqual([[names(double)], names(double)])
    expect(place.said).toEqual([expect.stringContaining('2 keys, signing with EdDSA')])
    live.close()
  })

  test('tell what became of each key, by its name, once the others count', async () => {
    using place = new Place()
    const live = place.live()
    const [first = '', second = ''] = names(double)
    const told: unknown[] = []
    live.whenChanged((changes) => void told.push([changes, live.current().signing?.kid]))
    place.write(formatKeyFile({ ring: double }))
    await until(() => told.length > 0)
    place.write(formatKeyFile({ ring: rotate(double, { now: NOW }) }))
    await until(() => told.length > 1)
    place.write(formatKeyFile({ ring: revoke(rotate(double, { now: NOW }), first, { now: NOW }) }))
    await until(() => told.length > 2)
    expect(told).toEqual([
      [[`${second} next`], first],
      [[`${first} retired`, `${second} active`], second],
      [[`${first} gone`], second],
    ])
    live.close()
  })

  test('sign with the key that is active now', async () => {
    using place = new Place()
    const live = place.live()
    expect(live.current().signing?.kid).toBe(names(double)[0] ?? '')
    place.write(formatKeyFile({ ring: rotate(double, { now: NOW }) }))
    await until(() => place.heard.length > 0)
    expect(live.current().signing?.kid).toBe(names(double)[1] ?? '')
    live.close()
  })

  test('stay what they are where the file is broken, gone or weak, warn once, and continue with the next good one', async () => {
    using place = new Place()
    const live = place.live()
    for (const content of ['{', '{"format":"vestal-keys","version":1,"keys":[]}', 'short', '-----BEGIN PUBLIC KEY-----']) {
      place.warned.length = 0
      place.write(content)
      await until(() => place.warned.length > 0)
      expect(place.warned).toEqual([expect.stringContaining('the old ones stay')])
    }
    place.warned.length = 0
    rmSync(place.path)
    await until(() => place.warned.length > 0)
    expect([place.heard, live.current().keys.length]).toEqual([[], 1])
    place.write(formatKeyFile({ ring: double }))
    await until(() => place.heard.length > 0)
    expect(live.current().keys).toHaveLength(2)
    live.close()
  })

  test('stay what they are where anyone who uses them rejects the new ones', async () => {
    using place = new Place()
    const live = place.live()
    live.subscribe(() => {
      throw new KeyError('they do not fit')
    })
    place.write(formatKeyFile({ ring: double }))
    await until(() => place.warned.length > 0)
    expect([place.warned[0], live.current().keys.length]).toEqual([expect.stringContaining('they do not fit'), 1])
    live.close()
  })

  test('tell no one of a file that was touched', async () => {
    using place = new Place()
    const live = place.live()
    utimesSync(place.path, NOW + 10, NOW + 10)
    place.write(formatKeyFile({ ring: single }))
    place.write(formatKeyFile({ ring: double }))
    await until(() => place.heard.length > 0)
    expect(place.heard).toEqual([names(double)])
    live.close()
  })

  test('drop a revoked key with the file, and a retired one when its time is over, with or without it', async () => {
    let clock = Date.now()
    using place = new Place(formatKeyFile({ ring: double }))
    const live = place.live({ now: () => clock })
    const rotated = rotate(double, { now: NOW, keepSeconds: 600 })
    place.write(formatKeyFile({ ring: rotated }))
    await until(() => place.heard.length > 0)
    expect(live.current().keys).toHaveLength(2)
    rmSync(place.path)
    await until(() => place.warned.length > 0)
    clock += 601_000
    await until(() => place.heard.length > 1)
    expect([place.heard[1], live.published().keys.map(({ kid }) => kid)]).toEqual([[names(double)[1] ?? ''], [names(double)[1]]])
    const ring = revoke(addKey(rotated, fresh(), { now: NOW }), names(double)[1] ?? '', { now: NOW })
    place.write(formatKeyFile({ ring }))
    await until(() => place.heard.length > 2)
    expect(live.current().keys.map(({ kid }) => kid)).not.toContain(names(double)[1])
    live.close()
  })

  test('follow a folder that a link swaps, as an orchestrator mounts it', async () => {
    using place = new Place()
    for (const [name, ring] of [
      ['first', single],
      ['second', double],
    ] as const) {
      mkdirSync(join(place.folder, name))
      writeFileSync(join(place.folder, name, 'mounted.json'), formatKeyFile({ ring }), { mode: 0o600 })
    }
    symlinkSync('first', join(place.folder, '..data'))
    symlinkSync('..data/mounted.json', join(place.folder, 'mounted.json'))
    const { settings } = loadSettings({
      flags: { keyFile: [join(place.folder, 'mounted.json')] },
      environment: {},
      directory: place.folder,
    })
    const live = createLiveKeys(createKeyLoader(settings, 'production'), {
      warn: () => undefined,
      say: () => undefined,
      pollMs: 20,
    })
    symlinkSync('second', join(place.folder, '..new'))
    renameSync(join(place.folder, '..new'), join(place.folder, '..data'))
    await until(() => live.current().keys.length === 2)
    live.close()
  })

  test('take up a PEM or a secret too, and do not give up signing', async () => {
    using place = new Place(SECRET)
    const live = place.live()
    place.write(`${SECRET}, another one`)
    await until(() => place.heard.length > 0)
    place.write(JSON.stringify({ kty: 'oct', k: Buffer.from(SECRET).toString('base64url'), key_ops: ['verify'] }))
    await until(() => place.warned.length > 0)
    expect(place.warned).toEqual([expect.stringContaining('no key in it signs')])
    live.close()
  })

  test('are never the bytes of a file that held a PEM or JSON and is written over', async () => {
    const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    for (const content of [formatKeyFile({ ring: single }), JSON.stringify(fresh().secret), pem]) {
      using place = new Place(content)
      const live = place.live()
      // The new text is over the beginning of the old one, which is what a reader meets between write and truncate.
      writeFileSync(place.path, `${SECRET}${content.slice(SECRET.length)}`)
      await until(() => place.warned.length > 0)
      expect(place.warned).toEqual([expect.stringContaining('held a PEM or JSON and now is neither; restart the server')])
      expect([place.heard, live.current().keys.length]).toEqual([[], 1])
      live.close()
    }
  })

  test('that are from the environment are not watched', () => {
    using place = new Place()
    const { settings } = loadSettings({ flags: {}, environment: { VESTAL_SECRET: SECRET }, directory: place.folder })
    const live = createLiveKeys(createKeyLoader(settings, 'production'), { warn: () => undefined, say: () => undefined })
    expect([live.current().path, live.published()]).toEqual([undefined, { keys: [] }])
    live.close()
  })
})
