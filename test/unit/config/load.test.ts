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
      'port in vestal.toml, line 1: must be a whole number from 0 to 65535; got the number 99999',
    ])
    expect(faultsOf(withFile('port = true'))).toEqual([
      'port in vestal.toml, line 1: must be a whole number from 0 to 65535; got the boolean true',
    ])
    expect(faultsOf(withFile('prot = 1'))).toEqual(['prot in vestal.toml, line 1: is not a setting; did you mean port?'])
    expect(faultsOf(withFile('port = '))).toEqual([
      'vestal.toml: is not valid TOML; line 1 is the first that cannot be read (a string stands in quotes)',
    ])
    expect(faultsOf({ configFile: join(empty, 'none.toml') })).toEqual([expect.stringContaining('cannot be read') as never])
  })

  test('never shows a secret', () => {
    const faults = faultsOf({ environment: { VESTAL_SECRET: 'hunter2' } })
    expect(faults).toEqual(['VESTAL_SECRET: must be at least 32 bytes, and has 7 (RFC 7518 §3.2); its value is not shown'])
  })

  test('is reported with all the others', () => {
    const faults = faultsOf({
      flags: { port: ['x'] },
      environment: { VESTAL_THREADS: '0', VESTAL_SECRET: 'x' },
      faults: ['--hots: no'],
    })
    expect(faults).toHaveLength(4)
  })
})

describe('a variable that is no setting', () => {
  test('and is nearly one is a fault that names the setting', () => {
    const cases = [
      ['VESTAL_PORTT', 'VESTAL_PORT'],
      ['VESTAL_PROT', 'VESTAL_PORT'],
      ['VESTAL_SERCET', 'VESTAL_SECRET'],
      ['VESTAL_ALLOWED_HOST', 'VESTAL_ALLOWED_HOSTS'],
      ['VESTAL_LOGLEVEL', 'VESTAL_LOG_LEVEL'],
      ['VESTAL_CONFG', 'VESTAL_CONFIG'],
      ['vestal_port', 'VESTAL_PORT'],
    ] as const
    for (const [name, meant] of cases)
      expect(faultsOf({ environment: { [name]: 'hunter2' } })).toEqual([`${name}: is not a setting; did you mean ${meant}?`])
  })

  test('and names tables says where these stand', () => {
    expect(faultsOf({ environment: { VESTAL_RATE_LIMITS: 'x' } })).toEqual([
      'VESTAL_RATE_LIMITS: is not a setting; write [[rate_limits]] in vestal.toml, the one place that holds tables',
    ])
  })

  test('and resembles none is a warning; those of the test suite are none of the kind', () => {
    const environment = {
      VESTAL_SOMETHING_ELSE: '1',
      VESTAL_SERVICE_PORT: '8000',
      VESTAL_PORT_8000_TCP: 'tcp://10.0.0.1:8000',
      VESTAL_CONFIG: '',
      VESTAL_TEST_SEED: '1',
      OTHER: '1',
    }
    expect(load({ environment }).warnings).toEqual(
      ['VESTAL_SOMETHING_ELSE', 'VESTAL_SERVICE_PORT', 'VESTAL_PORT_8000_TCP'].map(
        (name) => `${name} is set in the environment and is not a setting`,
      ),
    )
  })
})

describe('a file of settings', () => {
  test('names key, value, rule and line of what has another type', () => {
    const toml = [
      '# a comment: host = 1',
      'host = 5',
      'accounts = true',
      'title = 1979-05-27',
      'audience = [1]',
      'leeway_seconds = 1.5',
      'processes = "many"',
      'allowed_hosts = 5',
      'port = "8000"',
      'trace_ratio = 0.5',
      'unix_mode = 640',
      '[server]',
      'port = 1',
      '[[rate_limits]]',
      'role = "a"',
      '[[rate_limits]]',
      'role = 5',
      'requests_per_minut = 1',
    ].join('\n')
    expect([...faultsOf(withFile(toml))].sort()).toEqual([
      'accounts in vestal.toml, line 3: must be one of on, off; got the boolean true',
      'allowed_hosts in vestal.toml, line 8: must be a string in quotes, not a number; got the number 5',
      'audience in vestal.toml, line 5: must be a string, a number, a list of strings, or a table for [model]',
      'host in vestal.toml, line 2: must be an address such as 127.0.0.1, 0.0.0.0 or ::, or a name, without a scheme and a port; got the number 5',
      'leeway_seconds in vestal.toml, line 6: must be a whole number from 0 to 300; got the number 1.5',
      'processes in vestal.toml, line 7: must be a whole number from 1 to 64, or auto; got "many"',
      'rate_limits[1].requests_per_minut in vestal.toml, line 18: is not a field of this table; did you mean requests_per_minute?',
      'rate_limits[1].role in vestal.toml, line 17: must be a string; got the number 5',
      'server in vestal.toml, line 12: is not a setting; port and the others stand at the top of the file, in no table',
      'title in vestal.toml, line 4: must be a string, a number, a list of strings, or a table for [model]',
    ])
  })

  test('that is not valid names the line and shows nothing of it', () => {
    for (const toml of ['port = 1\nsecret = hunter2hunter2', 'port = 1\nsecret = "hunter2', 'port = 1\n[hunter2'])
      expect(faultsOf(withFile(toml))).toEqual([expect.stringContaining('is not valid TOML; line 2 ') as never])
    for (const toml of ['secret = hunter2', 'secret = "hunter2']) expect(faultsOf(withFile(toml)).join()).not.toContain('hunter2')
  })

  test('that cannot be read says why', () => {
    expect(faultsOf({ configFile: empty })).toEqual([`${empty}: cannot be read: it is a folder`])
    expect(faultsOf({ environment: { VESTAL_CONFIG: `${empty}/no.toml` } })).toEqual([
      `${empty}/no.toml: cannot be read: there is no such file`,
    ])
  })
})

describe('a place', () => {
  const PASSWORD = 'hunter2'
  const faultsWith = (name: string, value: string) => faultsOf({ environment: { [`VESTAL_${name}`]: value } })

  test('of the database with a scheme that is none of ours is rejected, with the schemes and without its password', () => {
    for (const address of [
      `mysql://u:${PASSWORD}@h/db`,
      `postgress://u:${PASSWORD}@h/db`,
      `pg://u:${PASSWORD}@h/db`,
      `POSTGRES://u:${PASSWORD}@h/db`,
      `jdbc:postgresql://u:${PASSWORD}@h/db`,
      `postgres:u:${PASSWORD}@h/db`,
      `postgres:/u:${PASSWORD}@h/db`,
      `u:${PASSWORD}@h/db`,
      `user:${PASSWORD}@h/db`,
      `//u:${PASSWORD}@h/db`,
      `"postgres://u:${PASSWORD}@h/db"`,
      ` mysql://u:${PASSWORD}@h/db`,
      `postgres://u:${PASSWORD}#@h/db`,
      'postgres://',
      'sqlite:///var/lib/vestal.db',
      'file:vestal.db',
      'user@host/db',
    ]) {
      const [fault = '', ...others] = faultsWith('DATABASE', address)
      expect([address, others, fault]).toEqual([
        address,
        [],
        expect.stringMatching(
          /^VESTAL_DATABASE: must be the path of a SQLite file, or an address postgres:\/\/.*postgresql:\/\//,
        ),
      ])
      expect(fault).not.toContain(PASSWORD)
    }
    for (const place of [
      'vestal.db',
      '/var/lib/vestal@1/vestal.db',
      '../x/vestal.db',
      'C:\\vestal\\vestal.db',
      `postgres://u:${PASSWORD}@h/db`,
      'postgresql://h:5432/db?sslmode=require',
    ])
      expect([place, faultsWith('DATABASE', place)]).toEqual([place, []])
  })

  test('of Redis has one of its schemes, and is not shown', () => {
    for (const address of [
      `http://:${PASSWORD}@h`,
      `redi://:${PASSWORD}@h`,
      `h:6379`,
      `redis:${PASSWORD}@h`,
      `redis://:${PASSWORD}#@h`,
      'redis://',
    ]) {
      const [fault = ''] = faultsWith('REDIS', address)
      expect([address, fault]).toEqual([
        address,
        expect.stringMatching(/^VESTAL_REDIS: must be an address redis:\/\/.* rediss:\/\//),
      ])
      expect(fault).not.toContain(PASSWORD)
    }
    for (const address of [`redis://:${PASSWORD}@h:6379/1`, 'rediss://h', 'valkey://h', 'redis+unix:///run/redis.sock'])
      expect([address, faultsWith('REDIS', address)]).toEqual([address, []])
  })

  test('of a file is no address and no key, and neither is shown', () => {
    const pem = `-----BEGIN PRIVATE KEY-----${PASSWORD}`
    for (const name of ['KEY_FILE', 'DECRYPTION_KEY_FILE', 'TLS_CERT', 'TLS_KEY', 'TLS_CLIENT_CA', 'DATA', 'MODELS']) {
      for (const value of [`https://u:${PASSWORD}@h/x`, pem, `{"kty":"oct","k":"${PASSWORD}"}`]) {
        const [fault = ''] = faultsWith(name, value)
        expect([name, fault]).toEqual([name, expect.stringMatching(/: must be (?:a path of this machine|the path of a file)/)])
        expect(fault).not.toContain(PASSWORD)
      }
    }
    expect(faultsWith('MODEL', 's=s3://bucket/model.onnx')).toEqual([
      'VESTAL_MODEL: must be a path of this machine, not an address; got "s=s3://bucket/model.onnx"',
    ])
    expect(faultsWith('UNIX', 'unix:/run/vestal.sock')).toEqual([expect.stringContaining('without unix:') as never])
  })

  test('on the web never shows a password', () => {
    for (const name of ['JWKS_URL', 'OTLP_ENDPOINT']) {
      const faults = faultsWith(name, `https://u:${PASSWORD}@h/x`)
      expect([name, faults.length, faults.join().includes(PASSWORD)]).toEqual([name, 1, false])
    }
  })

  test('to listen on is an address or a name alone', () => {
    for (const host of ['5', '127.0.0.1:8000', 'http://127.0.0.1', '*', '127.0.0.256', '1.2.3', 'a b', '[::1', ''])
      if (host !== '') expect([host, faultsWith('HOST', host).length]).toEqual([host, 1])
    for (const host of ['127.0.0.1', '0.0.0.0', '::', '::1', '[::1]', 'localhost', 'vestal.internal', 'my_host', 'fe80::1%eth0'])
      expect([host, faultsWith('HOST', host)]).toEqual([host, []])
  })
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
      'issuers[1].nme in vestal.toml, line 7: is not a field of this table; did you mean name?',
      'issuers[1].name in vestal.toml, line 6: must be a string; got the number 7',
      'issuers[1].jwks_url in vestal.toml, line 9: must be an https address without user and fragment; http is only for a loopback address',
      'issuers[1].audiences in vestal.toml, line 5: is missing',
      expect.stringContaining('issuers[1].algorithms in vestal.toml, line 8: must be one of HS256'),
      'issuers[1].grants in vestal.toml, line 11: must be a table; got a list',
      'issuers[1].may_grant in vestal.toml, line 12: must be a list of at least one text',
      'issuers[1].jwks_max_age_seconds in vestal.toml, line 10: must be a number; got a string',
    ] as never)
    for (const toml of ['issuers = "one"', 'issuers = ["one"]', '[issuers]\nname = "one"', 'issuers = [[]]'])
      expect(faultsOf(withFile(toml))).toEqual(['issuers in vestal.toml, line 1: must be tables, each begun with [[issuers]]'])
    expect(faultsOf(withFile(one.repeat(65)))).toEqual(['issuers in vestal.toml, line 1: must be at most 64'])
  })

  test('is neither a flag nor a variable', () => {
    expect(faultsOf({ environment: { VESTAL_ISSUERS: 'x' } })).toEqual([expect.stringContaining('[[issuers]]') as never])
  })
})
