import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeCertificate } from '../support/certificates.ts'
import { MAIN, Workplace } from '../support/command-line.ts'
import { MODELS } from '../support/server.ts'

type Variables = Readonly<Record<string, string>>

interface Found {
  readonly check: string
  readonly level: 'right' | 'note' | 'wrong'
  readonly message: string
  readonly todo?: string
}

const PASSPHRASE = 'a passphrase for tests alone'
const PASSWORD = 'hunter2-of-the-database'
const SECRET = 'a secret for tests alone, of 48 bytes and no less'

/** Made once, and copied for each test. */
const template = new Workplace()
beforeAll(() => {
  for (const args of [
    ['keys', 'generate', '--algorithm', 'ES256'],
    ['db', 'migrate'],
  ]) {
    const { exitCode, stderr } = template.run(args)
    if (exitCode !== 0) throw new Error(stderr)
  }
})
afterAll(() => template[Symbol.dispose]())

/** A set-up for production in which nothing is wrong: a key file, a database, an audit log and one model. */
class Installation extends Workplace {
  readonly data = join(this.folder, 'data')
  readonly models = join(this.folder, 'models')

  constructor() {
    super()
    cpSync(join(MODELS, 'simple'), join(this.models, 'simple'), { recursive: true })
    mkdirSync(this.data, { mode: 0o700 })
    for (const name of readdirSync(join(template.folder, 'data'))) {
      cpSync(join(template.folder, 'data', name), join(this.data, name))
      chmodSync(join(this.data, name), 0o600)
    }
  }

  get variables(): Variables {
    return { VESTAL_MODELS: this.models, NODE_ENV: 'production', VESTAL_PORT: '0' }
  }

  get keyFile(): string {
    return join(this.data, 'keys.json')
  }

  /** What the doctor finds; asserts that it shows no secret. */
  examine({ variables = {}, args = [] }: Planted = {}) {
    const { stdout, stderr, exitCode } = this.run(['doctor', '--json', ...args], { ...this.variables, ...variables })
    for (const secret of [PASSPHRASE, PASSWORD, SECRET]) expect(stdout + stderr).not.toContain(secret)
    expect(stderr).toBe('')
    const { toDo, findings } = JSON.parse(stdout) as { readonly toDo: number; readonly findings: readonly Found[] }
    return { toDo, findings, exitCode, wrong: findings.filter(({ level }) => level === 'wrong') }
  }
}

/** How the doctor is run after a fault was planted. */
interface Planted {
  readonly variables?: Variables
  readonly args?: readonly string[]
}

interface Fault {
  readonly name: string
  readonly check: string
  readonly message: RegExp
  readonly todo: RegExp
  readonly plant: (place: Installation) => Planted | undefined
}

function inDatabase({ data }: Installation, statement: string): undefined {
  using database = new Database(join(data, 'vestal.db'))
  database.run(statement)
}

function keysFile(place: Installation, text: string): undefined {
  writeFileSync(place.keyFile, text)
}

function withTls(place: Installation, options: Parameters<typeof makeCertificate>[0], mode = 0o600): Planted {
  const { cert, key } = makeCertificate(options)
  const [certFile, keyFile] = [join(place.folder, 'tls.pem'), join(place.folder, 'tls.key')]
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key, { mode })
  return { args: ['--tls-cert', certFile, '--tls-key', keyFile] }
}

const FAULTS: readonly Fault[] = [
  {
    name: 'a setting that cannot be read',
    check: 'settings',
    message: /VESTAL_QUEUE_MAX: must be a whole number/,
    todo: /docs\/reference\/settings\.md/,
    plant: () => ({ variables: { VESTAL_QUEUE_MAX: 'many' } }),
  },
  {
    name: 'a variable that is misspelt',
    check: 'settings',
    message: /VESTAL_SECRETT: is not a setting; did you mean VESTAL_SECRET\?/,
    todo: /Correct it/,
    plant: () => ({ variables: { VESTAL_SECRETT: SECRET } }),
  },
  {
    name: 'a data folder that is open to others',
    check: 'files',
    message: /the data folder data is open to others \(mode 755\)/,
    todo: /chmod 700 data/,
    plant: ({ data }) => void chmodSync(data, 0o755),
  },
  {
    name: 'a data folder that cannot be made',
    check: 'files',
    message: /is not there and cannot be made/,
    todo: /--data/,
    plant: (place) => {
      writeFileSync(join(place.folder, 'file'), '')
      return { variables: { VESTAL_DATA: 'file/data', VESTAL_KEY_FILE: place.keyFile } }
    },
  },
  ...['keys.json', 'vestal.db', 'audit.log'].map(
    (file): Fault => ({
      name: `${file} that others can read`,
      check: 'files',
      message: new RegExp(`data/${file} can be read or written by others \\(mode 644\\)`),
      todo: /chmod 600 data\//,
      plant: ({ data }) => {
        writeFileSync(join(data, file), '', { flag: 'a' })
        chmodSync(join(data, file), 0o644)
        return undefined
      },
    }),
  ),
  {
    name: 'a file of settings with a secret that others can read',
    check: 'files',
    message: /vestal\.toml can be read or written by others/,
    todo: /chmod 600/,
    plant: (place) => {
      writeFileSync(join(place.folder, 'vestal.toml'), `admin_password = "${PASSPHRASE}"\n`, { mode: 0o644 })
      return undefined
    },
  },
  {
    name: 'no key in production mode',
    check: 'keys',
    message: /in production mode a key is needed/,
    todo: /VESTAL_SECRET=/,
    plant: (place) => void rmSync(place.keyFile),
  },
  {
    name: 'a key file without an active key',
    check: 'keys',
    message: /no key is active/,
    todo: /docs\/guides\/keys\.md/,
    plant: (place) => keysFile(place, JSON.stringify({ format: 'vestal-keys', version: 1, keys: [] })),
  },
  {
    name: 'a key file that is damaged',
    check: 'keys',
    message: /is not valid JSON/,
    todo: /docs\/guides\/keys\.md/,
    plant: (place) => keysFile(place, readFileSync(place.keyFile, 'utf8').slice(0, 100)),
  },
  {
    name: 'a sealed key file without its passphrase',
    check: 'keys',
    message: /its keys are sealed; set VESTAL_KEY_PASSPHRASE/,
    todo: /docs\/guides\/keys\.md/,
    plant: (place) => {
      rmSync(place.keyFile)
      const made = place.run(['keys', 'generate', '--encrypt'], { ...place.variables, VESTAL_KEY_PASSPHRASE: PASSPHRASE })
      expect([made.exitCode, made.stderr]).toEqual([0, ''])
      return undefined
    },
  },
  {
    name: 'a decryption key that is not there',
    check: 'keys',
    message: /gone\.pem: cannot be read/,
    todo: /docs\/guides\/keys\.md/,
    plant: () => ({ variables: { VESTAL_DECRYPTION_KEY_FILE: 'gone.pem' } }),
  },
  {
    name: 'a TLS key that others can read',
    check: 'files',
    message: /tls\.key can be read or written by others \(mode 644\)/,
    todo: /chmod 600/,
    plant: (place) => withTls(place, {}, 0o644),
  },
  {
    name: 'a certificate that expired',
    check: 'tls',
    message: /expired on/,
    todo: /Renew/,
    plant: (place) => withTls(place, { fromDays: -30, toDays: -1 }),
  },
  {
    name: 'a certificate that soon ends',
    check: 'tls',
    message: /expires in [34] days/,
    todo: /Renew/,
    plant: (place) => withTls(place, { toDays: 4 }),
  },
  {
    name: 'a path of the unix socket that is something else',
    check: 'ports',
    message: /exists and is not a socket/,
    todo: /--unix/,
    plant: (place) => {
      writeFileSync(join(place.folder, 'vestal.sock'), '')
      return { args: ['--unix', join(place.folder, 'vestal.sock')] }
    },
  },
  {
    name: 'a database that is damaged',
    check: 'database',
    message: /the database/,
    todo: /backup/,
    plant: ({ data }) => {
      const path = join(data, 'vestal.db')
      const bytes = readFileSync(path)
      writeFileSync(path, bytes.fill(0xa5, 4096, bytes.length - 4096))
      return undefined
    },
  },
  {
    name: 'a file that is no database',
    check: 'database',
    message: /the database cannot be used: file is not a database/,
    todo: /backup/,
    plant: ({ data }) => void writeFileSync(join(data, 'vestal.db'), 'not a database'.repeat(1000)),
  },
  {
    name: 'a database of a newer version',
    check: 'database',
    message: /the migration 9999_future, which this version does not know/,
    todo: /newer/,
    plant: (place) => inDatabase(place, "INSERT INTO vestal_migrations (name, hash) VALUES ('9999_future', 'x')"),
  },
  {
    name: 'a migration that was changed',
    check: 'database',
    message: /the migration 0000_accounts is not the one/,
    todo: /version of Vestal that made it/,
    plant: (place) => inDatabase(place, "UPDATE vestal_migrations SET hash = 'x' WHERE name = '0000_accounts'"),
  },
  {
    name: 'a database that lacks a migration',
    check: 'database',
    message: /the database lacks \d{4}_\w+/,
    todo: /vestal db migrate/,
    plant: (place) => inDatabase(place, 'DELETE FROM vestal_migrations WHERE name = (SELECT max(name) FROM vestal_migrations)'),
  },
  {
    name: 'rows that do not fit together',
    check: 'database',
    message: /1 roles have permissions that are no list/,
    todo: /backup/,
    plant: (place) => inDatabase(place, "INSERT INTO roles VALUES ('odd', '', 'none', 1, 0)"),
  },
  {
    name: 'a row that points to nothing',
    check: 'database',
    message: /the database is damaged: a row of sessions points to nothing/,
    todo: /backup/,
    plant: (place) => {
      using database = new Database(join(place.data, 'vestal.db'))
      database.run('PRAGMA foreign_keys = OFF')
      const columns = database.query<{ name: string; notnull: number; type: string }, []>("PRAGMA table_info('sessions')").all()
      const values = columns.map(({ type }) => (type.toLowerCase() === 'text' ? "'gone'" : '1'))
      database.run(`INSERT INTO sessions (${columns.map(({ name }) => name).join(', ')}) VALUES (${values.join(', ')})`)
      return undefined
    },
  },
  {
    name: 'a database that does not answer',
    check: 'database',
    message: /the database cannot be used/,
    todo: /VESTAL_DATABASE/,
    plant: () => ({ variables: { VESTAL_DATABASE: `postgres://vestal:${PASSWORD}@127.0.0.1:1/vestal` } }),
  },
  {
    name: 'a Redis that does not answer',
    check: 'redis',
    message: /Redis cannot be used/,
    todo: /VESTAL_REDIS/,
    plant: () => ({ variables: { VESTAL_REDIS: `redis://:${PASSWORD}@127.0.0.1:1` } }),
  },
  {
    name: 'crashes that are reported',
    check: 'telemetry',
    message: /BUN_ENABLE_CRASH_REPORTING is set/,
    todo: /out of the environment/,
    plant: () => ({ variables: { BUN_ENABLE_CRASH_REPORTING: '1' } }),
  },
  {
    name: 'a Rust addon that does not load',
    check: 'addon',
    message: /@node-rs\/jsonwebtoken cannot be loaded/,
    todo: /bun install again/,
    plant: () => ({ variables: { NAPI_RS_NATIVE_LIBRARY_PATH: '/nowhere/broken.node' } }),
  },
  {
    name: 'no model',
    check: 'models',
    message: /there is no model/,
    todo: /model\.onnx/,
    plant: ({ models }) => void rmSync(join(models, 'simple'), { recursive: true }),
  },
  {
    name: 'a model that is no model',
    check: 'models',
    message: /broken, version 1: /,
    todo: /docs\/reference\/models\.md/,
    plant: ({ models }) => {
      mkdirSync(join(models, 'broken/1'), { recursive: true })
      writeFileSync(join(models, 'broken/1/model.onnx'), 'no model')
      return undefined
    },
  },
  {
    name: 'a model that is not the one whose checksum is named',
    check: 'models',
    message: /simple, version 1: 1\/model\.onnx is not the file whose SHA-256 model\.toml names/,
    todo: /docs\/reference\/models\.md/,
    plant: ({ models }) =>
      void writeFileSync(join(models, 'simple/model.toml'), `[sha256]\n"1/model.onnx" = "${'0'.repeat(64)}"\n`),
  },
  {
    name: 'a model that is to be loaded and is not there',
    check: 'models',
    message: /the model fraud is to be loaded at the start, and is not there/,
    todo: /--load-model/,
    plant: () => ({ args: ['--load-model', 'simple', '--load-model', 'fraud'] }),
  },
  {
    name: 'more workers than cores',
    check: 'resources',
    message: /64 workers a model with 256 threads each are more than the/,
    todo: /--instances/,
    plant: () => ({ args: ['--instances', '64', '--threads', '256'] }),
  },
  {
    name: 'a clock that is behind',
    check: 'clock',
    message: /the clock is behind: .*keys\.json was written 86\d\d\d s after now/,
    todo: /Set the clock/,
    plant: ({ keyFile }) => {
      const tomorrow = Date.now() / 1000 + 86_400
      utimesSync(keyFile, tomorrow, tomorrow)
      return undefined
    },
  },
]

describe('vestal doctor', () => {
  test('finds nothing to do where nothing is wrong, and says what it looked at', () => {
    using place = new Installation()
    const { toDo, findings, exitCode, wrong } = place.examine()
    expect({ toDo, exitCode, wrong }).toEqual({ toDo: 0, exitCode: 0, wrong: [] })
    expect(new Set(findings.map(({ check }) => check))).toEqual(
      new Set([
        'settings',
        'bun',
        'files',
        'keys',
        'tls',
        'database',
        'redis',
        'telemetry',
        'addon',
        'runtime',
        'models',
        'resources',
        'disk',
        'open files',
        'clock',
        'ports',
      ]),
    )
    expect(findings.find(({ check, level }) => check === 'database' && level === 'right')?.message).toContain('every migration')
    expect(findings.find(({ check, level }) => check === 'models' && level === 'right')?.message).toContain('1 load: simple')
  })

  for (const { name, check, message, todo, plant } of FAULTS) {
    test(`finds ${name}`, () => {
      using place = new Installation()
      const { wrong, toDo, exitCode } = place.examine(plant(place))
      expect(wrong.length).toBeGreaterThan(0)
      // One fault may show in several findings, and all of them are of the check that it belongs to.
      expect([...new Set(wrong.map((each) => each.check))]).toEqual([check])
      expect(wrong[0]?.message).toMatch(message)
      expect(wrong[0]?.todo).toMatch(todo)
      expect({ toDo, exitCode }).toEqual({ toDo: wrong.length, exitCode: 1 })
    })
  }

  test('finds a port in use, and names the process', () => {
    using place = new Installation()
    using listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } })
    const { wrong } = place.examine({ variables: { VESTAL_PORT: String(listener.port) } })
    const by = process.platform === 'linux' ? ` by process ${process.pid} \\(.+\\)` : ''
    expect(wrong.map((each) => [each.check, each.message])).toEqual([
      ['ports', expect.stringMatching(new RegExp(`^port ${listener.port} on 127.0.0.1 is in use${by}$`))],
    ])
  })

  test('finds an ONNX Runtime that does not load, and names no folder', () => {
    using place = new Installation()
    if (process.platform !== 'linux') return
    mkdirSync(join(place.folder, 'broken'))
    writeFileSync(join(place.folder, 'broken/libonnxruntime.so.1'), 'no library')
    const { wrong } = place.examine({ variables: { LD_LIBRARY_PATH: join(place.folder, 'broken') } })
    expect(wrong.map(({ check }) => check)).toEqual(['runtime', 'models'])
    expect(wrong[0]?.message).toEndWith('cannot be loaded: ONNX Runtime does not load: libonnxruntime.so.1: file too short')
    expect(wrong[1]?.message).not.toContain('/')
  })

  test('finds too few open files', () => {
    using place = new Installation()
    if (process.platform !== 'linux') return
    const { stdout } = Bun.spawnSync(['sh', '-c', `ulimit -n 512 && exec "$@"`, 'sh', process.execPath, MAIN, 'doctor'], {
      cwd: place.folder,
      env: place.environment(place.variables),
    })
    expect(stdout.toString()).toMatch(/^WRONG {2}open files +only 512 files and connections may be open at once\n +→ ulimit/m)
    expect(stdout.toString()).toEndWith('1 thing to do.\n')
  })

  test('reports every fault at once, in lines for people', () => {
    using place = new Installation()
    chmodSync(place.data, 0o755)
    const { stdout, exitCode } = place.run(['doctor'], {
      ...place.variables,
      VESTAL_PORT: 'none',
      VESTAL_LEEWAY_SECONDS: '-1',
      VESTAL_SECRET: 'short',
    })
    for (const source of ['VESTAL_PORT', 'VESTAL_LEEWAY_SECONDS', 'VESTAL_SECRET'])
      expect(stdout).toMatch(new RegExp(`^WRONG {2}settings +${source}: must be`, 'm'))
    expect(stdout).toContain('its value is not shown')
    expect(stdout).toContain('chmod 700 data')
    expect([stdout.endsWith('4 things to do.\n'), exitCode]).toEqual([true, 1])
  })

  test('rejects what it does not take with exit code 2, and looks at nothing', () => {
    using place = new Workplace()
    const { stdout, stderr, exitCode } = place.run(['doctor', 'now', '--loud'])
    expect([stdout, exitCode]).toEqual(['', 2])
    expect(stderr).toContain('"now": is not a flag')
    expect(stderr).toContain('--loud: is not a flag')
  })

  test('knows a key that is retired and says until when it verifies', () => {
    using place = new Installation()
    for (const action of ['generate', 'rotate']) place.run(['keys', action, '--algorithm', 'ES256'], place.variables)
    const { findings, exitCode } = place.examine()
    expect(exitCode).toBe(0)
    expect(findings.filter(({ check, level }) => check === 'keys' && level === 'note').map(({ message }) => message)).toEqual([
      expect.stringMatching(/^the key \S+ is retired and verifies until \d{4}-\d\d-\d\dT/),
    ])
  })

  test('reports the fields of a config.pbtxt that have no effect, and does not count them', () => {
    using place = new Installation()
    writeFileSync(join(place.models, 'simple/config.pbtxt'), 'max_batch_size: 8\ndynamic_batching { preserve_ordering: true }\n')
    const { findings, exitCode } = place.examine()
    expect(exitCode).toBe(0)
    const notes = findings.filter(({ check, level }) => check === 'models' && level === 'note')
    expect(notes.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^simple: config\.pbtxt line 2: dynamic_batching\.preserve_ordering/),
    ])
  })

  test('changes nothing, beside a server that runs and where there is nothing yet', async () => {
    using empty = new Workplace()
    expect(empty.run(['doctor', '--port', '0']).exitCode).toBe(0)
    // Bun makes a folder for itself in the home folder.
    expect(readdirSync(empty.folder).filter((name) => name !== '.bun')).toEqual([])

    using place = new Installation()
    const before = stateOf(place.data)
    expect(place.examine().exitCode).toBe(0)
    expect(stateOf(place.data)).toEqual(before)

    const { base, child } = await place.start([], place.variables)
    const { port } = new URL(base)
    const { findings, exitCode, wrong } = place.examine({ variables: { VESTAL_PORT: port } })
    expect([wrong, exitCode]).toEqual([[], 0])
    expect(findings.find(({ check }) => check === 'ports')?.message).toStartWith(
      `Vestal listens on port ${port} of 127.0.0.1 already`,
    )
    expect((await fetch(`${base}/v2/health/ready`)).status).toBe(200)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })
})

/** Every file of a folder, with its mode, its time and what it holds. */
function stateOf(folder: string) {
  return readdirSync(folder)
    .sort()
    .map((name) => {
      const { mode, mtimeMs } = statSync(join(folder, name))
      return [name, mode, mtimeMs, Bun.hash(readFileSync(join(folder, name)))]
    })
}
