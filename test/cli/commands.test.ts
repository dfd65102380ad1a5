import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { VERSION } from '../../src/core/version.ts'
import { decodeJwt, verifyJwt } from '../../src/index.ts'
import { bytesOfBase64url } from '../../src/jose/base64url.ts'
import { Workplace } from '../support/command-line.ts'
import { SECRET } from '../support/tokens.ts'

const TOKEN = ['token', '--subject', 'me', '--permission', 'model:*:predict']

describe('vestal', () => {
  test('shows its verbs, its version, and the flags of a verb', () => {
    using place = new Workplace()
    for (const args of [[], ['--help'], ['-h'], ['help']]) {
      const { stdout, exitCode } = place.run(args)
      expect([exitCode, stdout]).toEqual([0, expect.stringContaining('Usage: vestal <verb> [flags]')])
    }
    expect(place.run(['--version']).stdout).toBe(`${VERSION}\n`)
    for (const verb of ['start', 'token', 'models', 'settings']) {
      const { stdout, exitCode } = place.run([verb, '--help'])
      expect([exitCode, stdout]).toEqual([0, expect.stringContaining(`Usage: vestal ${verb}`)])
      expect([verb, stdout.includes('--port N'), stdout.includes('--trace-sample')]).toEqual([verb, verb !== 'settings', false])
      const all = place.run([verb, '--help', '--all']).stdout
      for (const part of ['--port N', 'VESTAL_PORT', '--body-bytes-max', '[[rate_limits]]', 'VESTAL_SECRET'])
        expect([verb, part, all.includes(part)]).toEqual([verb, part, true])
      for (const line of `${stdout}${all}`.split('\n').filter((each) => !each.startsWith('Usage')))
        expect([line, line.length <= 80]).toEqual([line, true])
      expect(place.run(['help', verb, '--all']).stdout).toBe(all)
    }
  })

  test('reports what it does not know on the standard error, with exit code 2', () => {
    using place = new Workplace()
    const cases: readonly (readonly [args: readonly string[], message: string])[] = [
      [['serve'], '"serve": is not a verb; vestal --help lists them'],
      [['serve'], 'did you mean start?'],
      [['tokne'], 'did you mean token?'],
      [['--port', '1', 'start'], 'is not a verb, which comes before its flags: vestal start --port'],
      [['start', '--prot', '1'], '--prot: is not a flag; --help lists them; did you mean --port?'],
      [['start', '-port', '1'], '-port: is not a flag; --help lists them; did you mean --port?'],
      [['start', '--body-byte-max=1'], '--body-byte-max: is not a flag; --help lists them; did you mean --body-bytes-max?'],
      [['start', '-p', '1'], '-p: is not a flag; --help lists them'],
      [
        ['start', '--model-control', 'pol'],
        '--model-control: must be one of none, explicit, poll; did you mean poll?; got "pol"',
      ],
      [['start', '--log-level', 'warning'], '--log-level: must be one of debug, info, warn, error, silent'],
      [['completion', 'zhs'], 'completion: "zhs" is not one of bash, zsh, fish; did you mean completion zsh?'],
      [['completion'], 'completion: say what to do, one of bash, zsh, fish'],
      [['users', 'remove', 'bob'], 'users: "remove" is not one of add, list'],
      [['users', 'remove', 'bob'], 'did you mean users disable?'],
      [['users', 'lst'], 'did you mean users list?'],
      [['users', 'qqqqqq'], 'users: "qqqqqq" is not one of'],
      [['api-keys', 'delete', 'x'], 'did you mean api-keys revoke?'],
      [['keys', 'delete', 'x'], 'did you mean keys revoke?'],
      [['models', 'predict', 'iris'], 'did you mean models run?'],
      [['db', 'upgrade'], 'did you mean db migrate?'],
      [['users', 'list', 'bob'], 'users list: takes no "bob"'],
      [['api-keys', 'list', 'x'], 'api-keys list: takes no "x"'],
      [['start', 'now'], '"now": is not a flag'],
      [['start', '--port'], '--port: needs a value'],
      [['start', '--port', '--host', 'x'], '--port: needs a value'],
      [['start', '--secret', 'x'], '--secret: others can read a command line; set it in the environment'],
      [['models', '--subject', 'x'], '--subject: is not a flag; --help lists them'],
    ]
    for (const [args, message] of cases) {
      const { stdout, stderr, exitCode } = place.run(args)
      expect([exitCode, stdout, stderr]).toEqual([2, '', expect.stringContaining(message)])
    }
  })

  test('does not print what follows an unknown flag, which may be a secret', () => {
    using place = new Workplace()
    for (const flag of ['--secret', '--password', '-p', '-password', '--prot']) {
      const { stderr } = place.run(['start', flag, 'hunter2', 'now'])
      expect(stderr.trim().split('\n')).toEqual([expect.stringContaining(`${flag}: `), '"now": is not a flag'])
    }
  })

  test('reports all faults at once', () => {
    using place = new Workplace()
    const { stderr, exitCode } = place.run(['start', '--prot', '--threads', '0'], { VESTAL_PORT: 'x', VESTAL_SECRET: 'hunter2' })
    expect(exitCode).toBe(2)
    for (const part of ['--prot', '--threads', 'VESTAL_PORT', 'VESTAL_SECRET']) expect(stderr).toContain(part)
    expect(stderr).not.toContain('hunter2')
  })
})

test('each verb that people use is a script of package.json, and help names them all', () => {
  using place = new Workplace()
  const verbs = [...place.run(['--help']).stdout.matchAll(/^ {2}([a-z-]+) +[A-Z]/gm)].map(([, verb]) => verb ?? '')
  expect(verbs).toContain('ready')
  const { scripts } = JSON.parse(readFileSync(join(import.meta.dir, '../../package.json'), 'utf8')) as {
    scripts: Readonly<Record<string, string>>
  }
  for (const verb of verbs) {
    expect([verb, scripts[verb]]).toEqual([verb, expect.stringContaining(`src/cli/main.ts ${verb}`)])
    expect(place.run(['help', verb]).stdout).toContain(`Usage: vestal ${verb}`)
  }
})

test('what the system does not give is named with the reason, and without a stack', () => {
  using place = new Workplace()
  writeFileSync(join(place.folder, 'file'), '')
  mkdirSync(join(place.folder, 'folder'))
  const cases: readonly (readonly [args: readonly string[], exitCode: number, message: string])[] = [
    [[...TOKEN, '--data', 'file'], 2, 'file: the data folder cannot be used: a folder on its path is a file'],
    [['start', '--port', '0', '--data', 'file'], 2, 'file: the data folder cannot be used'],
    [['users', 'list', '--data', 'file'], 2, 'the accounts cannot be opened: file: a file is where a folder is needed'],
    [['start', '--config', 'folder'], 2, 'folder: cannot be read: it is a folder'],
    [['start', '--key-file', 'folder'], 2, 'folder: cannot be read: it is a folder'],
    [['models', 'check', 'folder'], 1, 'folder: is a folder; there is no .onnx file in it'],
    [['models', 'run', 'iris', '--input', 'folder', '--input-format', 'csv'], 1, 'folder: cannot be read: it is a folder'],
    [['models', 'run', 'iris', '--input', 'none.csv'], 1, 'none.csv: cannot be read: there is no such file'],
    [['models', 'run', 'irs', '--input', 'file', '--input-format', 'csv'], 1, 'irs: there is no such model; did you mean iris?'],
    [['models', 'inspect', 'digit'], 1, 'digit: there is no such model; did you mean digits?'],
    [
      ['start', '--port', '0', '--models', 'folder', '--host', 'nohost.invalid', '--accounts', 'off'],
      1,
      'cannot listen on nohost.invalid:0: the name does not resolve',
    ],
  ]
  for (const [args, exitCode, message] of cases) {
    const done = place.run(args, args.includes('nohost.invalid') ? { VESTAL_SECRET: SECRET } : {})
    expect([args, done.exitCode, done.stderr]).toEqual([args, exitCode, expect.stringContaining(message)])
    expect(done.stderr).not.toContain('    at ')
  }
})

describe('vestal token', () => {
  test('says where the server that runs there has another key, or rejects it for another reason', async () => {
    using place = new Workplace()
    using other = new Workplace()
    const server = await place.start(['--audience', 'one'], { VESTAL_SECRET: SECRET })
    const { port } = new URL(server.base)
    const run = (where: Workplace, args: readonly string[], environment = {}) => {
      const { stdout, stderr, exitCode } = where.run([...TOKEN, '--port', port, ...args], environment)
      expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)])
      return stderr.split('\n').filter((line) => line.startsWith('warning: the server'))
    }
    expect(run(place, ['--audience', 'one'], { VESTAL_SECRET: SECRET })).toEqual([])
    expect(run(other, ['--audience', 'one'])).toEqual([
      expect.stringContaining(`the server at http://127.0.0.1:${port} rejects tokens of this key: it has another`),
    ])
    expect(run(place, ['--audience', 'two'], { VESTAL_SECRET: SECRET })).toEqual([
      expect.stringContaining('knows this key and rejects such a token: '),
    ])
    const listed = other.run(['models', 'list', '--url', server.base])
    expect([listed.exitCode, listed.stderr]).toEqual([
      1,
      expect.stringContaining(
        'the token was signed with a random secret, kept in data/development-secret, and that server may have another',
      ),
    ])
    server.child.kill('SIGTERM')
    await server.child.exited
  })

  test('takes no answer of another program for that of a server', () => {
    using place = new Workplace()
    using other = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('', { status: 401 }) })
    const { exitCode, stderr } = place.run([...TOKEN, '--port', String(other.port)])
    expect([exitCode, stderr.includes('warning')]).toEqual([0, false])
  })

  test('is not signed with a secret of development for a server in production', () => {
    using place = new Workplace()
    for (const [args, environment] of [
      [[], { NODE_ENV: 'production' }],
      [['--host', '0.0.0.0'], {}],
      [['--unix', 'vestal.sock'], {}],
    ] as const) {
      const { stdout, stderr, exitCode } = place.run([...TOKEN, ...args], environment)
      expect([exitCode, stdout, stderr]).toEqual([2, '', expect.stringContaining('in production mode a key is needed')])
    }
  })

  test('prints a token alone, made with the secret that it keeps', () => {
    using place = new Workplace()
    const { stdout, stderr, exitCode } = place.run([...TOKEN, '--role', 'analyst=a,b', '--ttl', '60'])
    expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)])
    expect(stderr).toStartWith(
      'signed with a random secret, kept in data/development-secret, made now: servers that run already do not know it\n',
    )
    const again = place.run(TOKEN).stderr
    expect([
      again.startsWith('signed with a random secret, kept in data/development-secret\n'),
      again.includes('made now'),
    ]).toEqual([true, false])
    const path = join(place.folder, 'data/development-secret')
    const secret = bytesOfBase64url(readFileSync(path, 'utf8').trim())
    expect([secret.length, statSync(path).mode & 0o777, statSync(join(place.folder, 'data')).mode & 0o777]).toEqual([
      64, 0o600, 0o700,
    ])
    const { payload } = verifyJwt(stdout.trim(), secret)
    expect(payload).toMatchObject({ sub: 'me', data: { permissions: ['model:*:predict'], roles: { analyst: ['a', 'b'] } } })
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60)
  })

  test('lives an hour in development mode and as the settings say elsewhere, and says until when', () => {
    using place = new Workplace()
    const cases: readonly (readonly [args: readonly string[], environment: Record<string, string>, seconds: number])[] = [
      [[], {}, 3600],
      [[], { VESTAL_ACCESS_TOKEN_SECONDS: '60' }, 60],
      [[], { VESTAL_TOKEN_SECONDS_MAX: '900' }, 900],
      [['--ttl', '5'], {}, 5],
      [[], { NODE_ENV: 'production', VESTAL_SECRET: SECRET }, 300],
    ]
    for (const [args, environment, seconds] of cases) {
      const { stdout, stderr } = place.run([...TOKEN, ...args], { TZ: 'Asia/Kolkata', ...environment })
      const { iat, exp } = decodeJwt(stdout.trim()).payload as { iat: number; exp: number }
      const shown = (ms: number) => new Date(ms).toISOString().slice(0, 19)
      const local = shown((exp + 5.5 * 3600) * 1000).replace('T', ' ')
      expect([args, exp - iat]).toEqual([args, seconds])
      expect(stderr).toContain(`valid until ${local} local time (${shown(exp * 1000)}Z)\n`)
    }
  })

  test('carries the issuer and the audience that the server asks for', () => {
    using place = new Workplace()
    const environment = { VESTAL_SECRET: SECRET, VESTAL_ISSUER: 'me', VESTAL_AUDIENCE: 'a,b' }
    expect(decodeJwt(place.run(TOKEN, environment).stdout.trim()).payload).toMatchObject({ iss: 'me', aud: ['a', 'b'] })
  })

  test('of several processes that start at once is made with one secret', async () => {
    using place = new Workplace()
    const main = join(import.meta.dir, '../../src/cli/main.ts')
    const children = Array.from({ length: 6 }, () =>
      Bun.spawn([process.execPath, main, ...TOKEN], { cwd: place.folder, env: place.environment(), stdout: 'pipe' }),
    )
    const tokens = await Promise.all(children.map((child) => new Response(child.stdout).text()))
    const secret = bytesOfBase64url(readFileSync(join(place.folder, 'data/development-secret'), 'utf8').trim())
    for (const token of tokens) expect(verifyJwt(token.trim(), secret).payload.sub).toBe('me')
  })

  test('is signed with a key file of any kind', () => {
    using place = new Workplace()
    const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const files = {
      'key.pem': ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      'key.jwk': JSON.stringify({ ...ec.privateKey.export({ format: 'jwk' }), kid: 'k1' }),
      'keys.jwks': JSON.stringify({ keys: [{ ...ec.privateKey.export({ format: 'jwk' }), kid: 'k1' }] }),
      'secret.txt': `${SECRET}\n`,
    }
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(place.folder, name), content, { mode: 0o600 })
      const { stdout, stderr } = place.run(TOKEN, { VESTAL_KEY_FILE: name })
      const key = name === 'secret.txt' ? SECRET : ec.publicKey.export({ type: 'spki', format: 'pem' }).toString()
      expect([name, verifyJwt(stdout.trim(), key).payload.sub]).toEqual([name, 'me'])
      expect(stderr).toStartWith(`signed with the key file ${name}\n`)
    }
  })

  test('is signed with a key of the environment of any kind but a secret', () => {
    using place = new Workplace()
    const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const publicKey = ec.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const pem = ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const jwk = { ...ec.privateKey.export({ format: 'jwk' }), kid: 'k1' }
    for (const text of [pem, pem.replaceAll('\n', '\\n'), ` ${pem}`, JSON.stringify(jwk), JSON.stringify({ keys: [jwk] })]) {
      const { stdout, stderr } = place.run(TOKEN, { VESTAL_KEY: text })
      expect([stderr.split('\n')[0], verifyJwt(stdout.trim(), publicKey).payload.sub]).toEqual([
        'signed with the key of VESTAL_KEY',
        'me',
      ])
    }
    const refused: readonly (readonly [text: string, message: string])[] = [
      [SECRET, 'VESTAL_KEY: must be a PEM, a JWK or a JWK Set; its value is not shown'],
      ['{"kty":', 'VESTAL_KEY: begins as JSON and is not valid JSON'],
      ['{"kty":"oct","k":"hunter2hunter2"}', 'VESTAL_KEY: the '],
      [publicKey, 'they verify tokens and cannot sign them'],
      ['{"format":"vestal-keys","version":1,"keys":[]}', 'VESTAL_KEY: is a key file, which changes'],
    ]
    for (const [text, message] of refused) {
      const { stderr, exitCode } = place.run(TOKEN, { VESTAL_KEY: text })
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)])
      expect(stderr).not.toContain('hunter2')
    }
    const several = place.run(TOKEN, { VESTAL_KEY: pem, VESTAL_SECRET: SECRET, VESTAL_KEY_FILE: 'x' })
    expect(several.stderr).toContain('VESTAL_SECRET and VESTAL_KEY and VESTAL_KEY_FILE are all set')
  })

  test('warns where others can read the key file', () => {
    using place = new Workplace()
    writeFileSync(join(place.folder, 'secret.txt'), SECRET)
    chmodSync(join(place.folder, 'secret.txt'), 0o644)
    expect(place.run(TOKEN, { VESTAL_KEY_FILE: 'secret.txt' }).stderr).toContain('is readable by other users')
  })

  test('reports what is wrong with a key, and never shows it', () => {
    using place = new Workplace()
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    writeFileSync(join(place.folder, 'public.pem'), publicKey.export({ type: 'spki', format: 'pem' }))
    writeFileSync(join(place.folder, 'short.txt'), 'hunter2')
    writeFileSync(join(place.folder, 'bad.jwk'), '{"kty":')
    writeFileSync(join(place.folder, 'odd.jwk'), '{"kty":"oct","k":"hunter2"}')
    mkdirSync(join(place.folder, 'data'))
    writeFileSync(join(place.folder, 'data/development-secret'), 'hunter2')
    const cases: readonly (readonly [environment: Record<string, string>, message: string])[] = [
      [{ VESTAL_KEY_FILE: 'public.pem' }, 'they verify tokens and cannot sign them'],
      [{ VESTAL_KEY_FILE: 'short.txt' }, 'short.txt: the secret has 7 bytes'],
      [{ VESTAL_KEY_FILE: 'bad.jwk' }, 'bad.jwk: begins as JSON and is not valid JSON'],
      [{ VESTAL_KEY_FILE: 'odd.jwk' }, 'odd.jwk: the'],
      [{ VESTAL_KEY_FILE: 'none.pem' }, 'none.pem: cannot be read'],
      [{ VESTAL_SECRET: SECRET, VESTAL_KEY_FILE: 'public.pem' }, 'both set'],
      [{ VESTAL_SECRET: SECRET, VESTAL_ALGORITHM: 'RS256' }, 'VESTAL_SECRET: a shared secret cannot be used with RS256'],
      [{}, 'data/development-secret: does not hold a secret'],
    ]
    for (const [environment, message] of cases) {
      const { stdout, stderr, exitCode } = place.run(TOKEN, environment)
      expect([exitCode, stdout, stderr]).toEqual([2, '', expect.stringContaining(message)])
      expect(stderr).not.toContain('hunter2')
    }
  })

  test('asks for a subject, and for flags that make sense', () => {
    using place = new Workplace()
    const { stderr, exitCode } = place.run(['token', '--role', 'x', '--ttl', '0', '--permission', ''])
    expect(exitCode).toBe(2)
    for (const part of [
      '--subject: must be given',
      '--role: must be name=',
      '--ttl: must be',
      '--permission: must not be empty',
    ]) {
      expect(stderr).toContain(part)
    }
  })
})

describe('vestal models', () => {
  test('lists every version with its tensors and its state', () => {
    using place = new Workplace()
    writeFileSync(join(place.folder, 'bad.onnx'), 'not a model')
    const { stdout, stderr, exitCode } = place.run(['models', '--model', 'bad=bad.onnx'])
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^NAME +VERSION +INPUTS +OUTPUTS +STATE( +RUNS)?\n/)
    expect(stdout).toMatch(/\niris +1 +X FP32\[-1,4\] +label INT64\[-1\], probabilities FP32\[-1,3\] +ready\b/)
    expect(stdout).toMatch(/\nbad +1 +- +- +unavailable: it is a text file, such as the answer of a server/)
    expect(stdout).not.toContain(place.folder)
  })

  test('prints JSON where it is asked to', () => {
    using place = new Workplace()
    const rows = JSON.parse(place.run(['models', '--json']).stdout) as { name: string; state: string }[]
    expect(rows.map(({ name, state }) => [name, state])).toEqual([
      ['digits', 'ready'],
      ['iris', 'ready'],
      ['reviews', 'ready'],
      ['simple', 'ready'],
    ])
  })
})
