import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSettings, SettingsError, type Sources } from '../../../src/config/load.ts'
import { SETTING_NAMES, SETTINGS } from '../../../src/config/settings.ts'

const directory = mkdtempSync(join(tmpdir(), 'vestal-settings-'))
const empty = mkdtempSync(join(tmpdir(), 'vestal-settings-'))
afterAll(() => {
  rmSync(directory, { recursive: true })
  rmSync(empty, { recursive: true })
})

function load(sources: Partial<Sources> = {}) {
  return loadSettings({ flags: {}, environment: {}, directory: empty, ...sources })
}

function faultsOf(sources: Partial<Sources>): readonly string[] {
  try {
    load(sources)
    return []
  } catch (error) {
    if (error instanceof SettingsError) return error.faults
    throw error
  }
}

function withFile(content: string): Partial<Sources> {
  writeFileSync(join(directory, 'vestal.toml'), content)
  return { directory }
}

describe('a setting', () => {
  test('has its default where no source names it', () => {
    const { settings, warnings } = load()
    expect(settings).toEqual(Object.fromEntries(SETTING_NAMES.map((name) => [name, SETTINGS[name].default])) as never)
    expect([settings.host, settings.port, settings.models, settings.accessTokenSeconds]).toEqual([
      '127.0.0.1',
      8000,
      'models',
      300,
    ])
    expect(warnings).toEqual([])
  })

  test('is taken from the flags before the environment before the file', () => {
    const file = withFile('port = 3\ntitle = "file"\ncookie_key = "from_file"')
    const { settings } = load({ ...file, environment: { VESTAL_PORT: '2', VESTAL_TITLE: 'environment' }, flags: { port: ['1'] } })
    expect([settings.port, settings.title, settings.cookieKey]).toEqual([1, 'environment', 'from_file'])
  })

  test('that is a list is taken from each source in its own form', () => {
    const models = new Map([
      ['a', 'x.onnx'],
      ['b', 'y.onnx'],
    ])
    expect(load({ flags: { model: ['a=x.onnx', 'b=y.onnx'] } }).settings.model).toEqual(models)
    expect(load({ environment: { VESTAL_MODEL: 'a=x.onnx, b=y.onnx' } }).settings.model).toEqual(models)
    expect(load(withFile('[model]\na = "x.onnx"\nb = "y.onnx"')).settings.model).toEqual(models)
    expect(load(withFile('audience = ["a", "b"]')).settings.audience).toEqual(['a', 'b'])
  })

  test('whose variable is empty is as if it were not set', () => {
    expect(load({ environment: { VESTAL_PORT: '', VESTAL_SECRET: '' } }).settings.port).toBe(8000)
  })
})

describe('a fault', () => {
  const cases: readonly (readonly [sources: Partial<Sources>, fault: string])[] = [
    [{ flags: { port: ['x'] } }, '--port: must be a whole number from 0 to 65535; got "x"'],
    [{ flags: { port: ['65536'] } }, '--port: must be a whole number from 0 to 65535; got "65536"'],
    [{ flags: { port: ['-1'] } }, '--port: must be a whole number from 0 to 65535; got "-1"'],
    [{ flags: { port: ['1e3'] } }, '--port: must be a whole number from 0 to 65535; got "1e3"'],
    [{ flags: { port: ['1', '2'] } }, '--port: must be given once; got "1, 2"'],
    [{ environment: { VESTAL_INTEROP: 'django' } }, 'VESTAL_INTEROP: must be one of flama; got "django"'],
    [{ environment: { VESTAL_ALGORITHM: 'none' } }, expect.stringContaining('VESTAL_ALGORITHM: must be one of HS256') as never],
    [{ flags: { headerKey: ['a b'] } }, expect.stringContaining('--header-key: must be letters') as never],
    [{ flags: { model: ['iris'] } }, expect.stringContaining('--model: must be name=path') as never],
    [{ flags: { model: ['a=x', 'a=y'] } }, '--model: names "a" twice; got "a=x, a=y"'],
    [{ flags: { title: [' '] } }, '--title: must be one line of 1 to 100 characters; got " "'],
  ]
  for (const [sources, fault] of cases) {
    test(`names setting, source, rule and value: ${JSON.stringify(sources)}`, () => {
      expect(faultsOf(sources)).toEqual([fault])
    })
  }

  test('in the file names the file', () => {
    expect(faultsOf(withFile('port = 99999'))).toEqual([
      'port in vestal.toml: must be a whole number from 0 to 65535; got "99999"',
    ])
    expect(faultsOf(withFile('port = true'))).toEqual([expect.stringContaining('port in vestal.toml: must be a text') as never])
    expect(faultsOf(withFile('prot = 1'))).toEqual(['prot in vestal.toml: is not a setting'])
    expect(faultsOf(withFile('port = '))).toEqual(['vestal.toml: is not valid TOML'])
    expect(faultsOf({ configFile: join(empty, 'none.toml') })).toEqual([expect.stringContaining('cannot be read') as never])
  })

  test('never shows a secret', () => {
    const faults = faultsOf({ environment: { VESTAL_SECRET: 'hunter2' } })
    expect(faults).toEqual(['VESTAL_SECRET: must be at least 32 bytes, and has 7 (RFC 7518 §3.2); its value is not shown'])
  })

  test('is told with all the others', () => {
    const faults = faultsOf({
      flags: { port: ['x'] },
      environment: { VESTAL_THREADS: '0', VESTAL_SECRET: 'x' },
      faults: ['--hots: no'],
    })
    expect(faults).toHaveLength(4)
  })
})

test('a variable that is no setting is a warning', () => {
  expect(load({ environment: { VESTAL_PROT: '1', VESTAL_CONFIG: '', OTHER: '1' } }).warnings).toEqual([
    'VESTAL_PROT is set in the environment and is not a setting',
  ])
})

describe('a setting that is a list of tables', () => {
  const one = '[[issuers]]\nname = "one"\naudiences = ["a"]\nkey_file = "k"\n'

  test('is read from the file, field by field', () => {
    const toml = `${one}grants = { g = ["p", "q"] }\nrequired_values = { token_use = "access" }\njwks_max_age_seconds = 60\n[[issuers]]\nname = "two"\naudiences = ["a", "b"]`
    expect(load(withFile(toml)).settings.issuers).toEqual([
      {
        name: 'one',
        audiences: ['a'],
        keyFile: 'k',
        grants: { g: ['p', 'q'] },
        requiredValues: { token_use: 'access' },
        jwksMaxAgeSeconds: 60,
      },
      { name: 'two', audiences: ['a', 'b'] },
    ])
  })

  test('has every fault told with its place', () => {
    const wrong =
      'name = 7\nnme = "x"\nalgorithms = ["none"]\njwks_url = "http://one.example/"\njwks_max_age_seconds = "60"\ngrants = ["x"]\nmay_grant = []'
    expect(faultsOf(withFile(`${one}[[issuers]]\n${wrong}`))).toEqual([
      'issuers[1].nme in vestal.toml: is not a field of this table',
      'issuers[1].name in vestal.toml: must be a text',
      'issuers[1].jwks_url in vestal.toml: must be an https address without user and fragment; http is for a loopback address alone',
      'issuers[1].audiences in vestal.toml: is missing',
      expect.stringContaining('issuers[1].algorithms in vestal.toml: must be one of HS256'),
      'issuers[1].grants in vestal.toml: must be a table',
      'issuers[1].may_grant in vestal.toml: must be a list of at least one text',
      'issuers[1].jwks_max_age_seconds in vestal.toml: must be a number',
    ] as never)
    for (const toml of ['issuers = "one"', 'issuers = ["one"]', '[issuers]\nname = "one"', 'issuers = [[]]'])
      expect(faultsOf(withFile(toml))).toEqual(['issuers in vestal.toml: must be tables, each begun with [[issuers]]'])
    expect(faultsOf(withFile(one.repeat(65)))).toEqual(['issuers in vestal.toml: must be at most 64'])
  })

  test('is neither a flag nor a variable', () => {
    expect(load({ environment: { VESTAL_ISSUERS: 'x' } }).warnings).toEqual([expect.stringContaining('VESTAL_ISSUERS')] as never)
  })
})
