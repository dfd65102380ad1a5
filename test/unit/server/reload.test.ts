import { describe, expect, test } from 'bun:test'
import { loadSettings, SettingsError } from '../../../src/config/load.ts'
import type { Settings } from '../../../src/config/settings.ts'
import { VestalError } from '../../../src/core/errors.ts'
import { KeyError } from '../../../src/jose/key-error.ts'
import { createReload, type ReloadPart } from '../../../src/server/reload.ts'
import { createLogger } from '../../../src/telemetry/log/logger.ts'

const { settings: FIRST } = loadSettings({ flags: {}, environment: {}, directory: import.meta.dir })

/** A reload of settings that a test sets, with what its parts did. */
function setUp(next: Partial<Settings>, failing: ReloadPart = () => ({ apply: () => undefined, discard: () => undefined })) {
  const done: string[] = []
  const audited: unknown[] = []
  const reload = createReload(FIRST, () => ({ ...FIRST, ...next }), {
    logger: createLogger({ level: 'silent', write: () => undefined, format: () => '' }),
    audit: ({ event, reason }) => void audited.push([event, reason]),
  })
  const part =
    (name: string): ReloadPart =>
    (settings, changed) => {
      done.push(`${name} prepares ${settings.logLevel} ${settings.port}: ${changed.join()}`)
      return { apply: () => done.push(`${name} applies`), discard: () => done.push(`${name} discards`) }
    }
  for (const each of [part('one'), failing, part('two')]) reload.subscribe(each)
  return { done, audited, reload, run: () => reload.reload({ actor: 'test' }) }
}

const PREPARED = (name: string) => `${name} prepares debug ${FIRST.port}: logLevel`

describe('a reload', () => {
  test('has every part prepare before any applies, and leaves what needs a restart', async () => {
    const { done, audited, run } = setUp({ logLevel: 'debug', port: 1 })
    expect(await run()).toEqual({ changed: ['log_level'], needsRestart: ['port'] })
    expect(done).toEqual([PREPARED('one'), PREPARED('two'), 'one applies', 'two applies'])
    expect(audited).toEqual([['settings-reloaded', 'log_level changed; after a restart also port']])
    expect(await run()).toEqual({ changed: [], needsRestart: ['port'] })
  })

  test('applies nothing where a part rejects its settings, and reports every fault by setting', async () => {
    for (const error of [
      new SettingsError(['issuers: /etc/own/keys.json: is empty', 'issuers: two']),
      new KeyError('keys: weak'),
    ]) {
      const { done, audited, run } = setUp({ logLevel: 'debug' }, () => {
        throw error
      })
      const rejection = await run().catch((caught: unknown) => caught)
      expect(rejection).toBeInstanceOf(VestalError)
      const name = error instanceof KeyError ? 'keys' : 'issuers'
      expect((rejection as VestalError).detail).toEqual({ [name]: name === 'keys' ? 'weak' : 'keys.json: is empty; two' })
      expect(done).toEqual([PREPARED('one'), PREPARED('two'), 'one discards', 'two discards'])
      expect(audited).toEqual([['settings-refused', name]])
    }
  })

  test('discards what was prepared where a part has a bug', async () => {
    const bug = new Error('a bug')
    const { done, audited, run } = setUp({ logLevel: 'debug' }, () => Promise.reject(bug))
    expect(await run().catch((caught: unknown) => caught)).toBe(bug)
    expect([done, audited]).toEqual([[PREPARED('one'), 'one discards'], []])
  })

  test('runs one at a time', async () => {
    const first = Promise.withResolvers<void>()
    let prepared = 0
    const { done, run } = setUp({ logLevel: 'debug' }, async () => {
      prepared += 1
      if (prepared === 1) await first.promise
      return { apply: () => undefined, discard: () => undefined }
    })
    const both = [run(), run()]
    first.resolve()
    expect(await Promise.all(both)).toEqual([
      { changed: ['log_level'], needsRestart: [] },
      { changed: [], needsRestart: [] },
    ])
    expect(done.filter((line) => line.endsWith('applies'))).toEqual(['one applies', 'two applies', 'one applies', 'two applies'])
  })
})
