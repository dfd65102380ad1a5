import { describe, expect, test } from 'bun:test'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeJwt, verifyJwt } from '../../src/index.ts'
import { MAIN, Workplace } from '../support/command-line.ts'
import { SECRET } from '../support/tokens.ts'

const PASSPHRASE = 'correct horse battery staple'
const TOKEN = ['token', '--subject', 'me']

interface Row {
  readonly kid: string
  readonly alg: string
  readonly state: string
}

/** Runs `vestal keys … --json` and gives the keys that it prints. */
function keys(place: Workplace, args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const { stdout, stderr, exitCode } = place.run(['keys', ...args, '--json'], environment)
  const rows = exitCode === 0 ? (JSON.parse(stdout) as { keys: readonly Row[] }).keys : []
  return { rows, states: rows.map(({ state }) => state), stderr, exitCode }
}

const path = (place: Workplace) => join(place.folder, 'data/keys.json')

describe('vestal keys', () => {
  test('makes a key file that the other verbs use, closed to others', () => {
    using place = new Workplace()
    const { stdout, stderr, exitCode } = place.run(['keys', 'generate'])
    expect([exitCode, stderr, stdout]).toEqual([0, '', expect.stringMatching(/^KEY ID +ALGORITHM +STATE +SINCE/)])
    expect(statSync(path(place)).mode & 0o777).toBe(0o600)
    expect(statSync(join(place.folder, 'data')).mode & 0o777).toBe(0o700)
    const [active] = keys(place, ['list']).rows
    expect(active).toMatchObject({ alg: 'ES256', state: 'active' })
    const token = place.run(TOKEN).stdout.trim()
    expect(decodeJwt(token).header).toMatchObject({ alg: 'ES256', kid: active?.kid ?? '' })
    const { keys: stored } = JSON.parse(readFileSync(path(place), 'utf8')) as { keys: readonly { public: object }[] }
    expect(verifyJwt(token, stored.map((key) => key.public) as never).payload.sub).toBe('me')
  })

  test('goes from next to active to retired to revoked, and says so', () => {
    using place = new Workplace()
    const [first] = keys(place, ['generate']).rows
    const [, second] = keys(place, ['generate']).rows
    expect(keys(place, ['generate'])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('is next already') })
    const rotated = keys(place, ['rotate'])
    expect([rotated.states, rotated.stderr]).toEqual([
      ['retired', 'active'],
      expect.stringContaining('for 300 s, and the next key is younger'),
    ])
    expect(decodeJwt(place.run(TOKEN).stdout.trim()).header.kid).toBe(second?.kid ?? '')
    expect(keys(place, ['revoke', first?.kid ?? '']).states).toEqual(['revoked', 'active'])
    expect(keys(place, ['retire', second?.kid ?? '']).states).toEqual(['revoked', 'retired', 'active'])
    expect(readFileSync(path(place), 'utf8').match(/"d":/g)).toHaveLength(1)
  })

  test('takes an active key out of use at once, and makes the one that follows it', () => {
    using place = new Workplace()
    const [first] = keys(place, ['generate', '--algorithm', 'EdDSA']).rows
    const { rows, stderr } = keys(place, ['revoke', first?.kid ?? ''])
    expect(rows.map(({ state, alg }) => [state, alg])).toEqual([
      ['revoked', 'EdDSA'],
      ['active', 'EdDSA'],
    ])
    expect(stderr).toContain('no key was next, so one was made')
  })

  test('drops retired keys after the time that it is given', () => {
    using place = new Workplace()
    keys(place, ['generate'])
    expect(keys(place, ['rotate', '--keep-seconds', '0']).states).toEqual(['retired', 'active'])
    expect(keys(place, ['generate']).states).toEqual(['active', 'next'])
  })

  for (const algorithm of ['HS512', 'ES384', 'PS256', 'EdDSA']) {
    test(`makes keys for ${algorithm}`, () => {
      using place = new Workplace()
      const [row] = keys(place, ['generate', '--algorithm', algorithm]).rows
      expect(row).toMatchObject({ alg: algorithm, state: 'active' })
      expect(decodeJwt(place.run(TOKEN).stdout.trim()).header).toMatchObject({ alg: algorithm, kid: row?.kid ?? '' })
    })
  }

  test('takes over a key that servers have used so far, with what it signed', () => {
    using place = new Workplace()
    const pem = generateKeyPairSync('ec', { namedCurve: 'secp384r1' })
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString()
    writeFileSync(join(place.folder, 'old.pem'), pem, { mode: 0o600 })
    writeFileSync(join(place.folder, 'old.txt'), SECRET, { mode: 0o600 })
    const old = place.run(TOKEN, { VESTAL_KEY_FILE: 'old.pem' }).stdout.trim()
    expect(keys(place, ['generate', '--from', 'old.pem']).rows).toEqual([
      expect.objectContaining({ alg: 'ES384', state: 'active' }),
    ])
    expect(keys(place, ['rotate']).states).toEqual(['retired', 'active'])
    const { keys: stored } = JSON.parse(readFileSync(path(place), 'utf8')) as { keys: readonly { public: object }[] }
    expect(verifyJwt(old, { keys: stored.map((key) => ({ ...key.public })) }).payload.sub).toBe('me')
    const [secret] = keys(place, ['generate', '--from', 'old.txt', '--key-file', 'secrets.json', '--algorithm', 'HS512']).rows
    expect(secret).toMatchObject({ alg: 'HS512', state: 'active' })
    expect(
      verifyJwt(place.run(TOKEN, { VESTAL_KEY_FILE: 'secrets.json' }).stdout.trim(), SECRET, { algorithms: ['HS512'] }).payload
        .sub,
    ).toBe('me')
    const publicPem = createPublicKey(pem).export({ type: 'spki', format: 'pem' })
    writeFileSync(join(place.folder, 'public.pem'), publicPem)
    writeFileSync(join(place.folder, 'short.txt'), 'hunter2')
    for (const [args, message] of [
      [['--from', 'public.pem'], 'public.pem: the key is public'],
      [['--from', 'short.txt'], 'short.txt: the secret has 7 bytes'],
      [['--from', 'gone.pem'], 'gone.pem: cannot be read'],
      [['--from', 'old.pem', '--algorithm', 'RS256'], 'old.pem: this key cannot be used with RS256'],
    ] as const) {
      const { stderr, exitCode } = place.run(['keys', 'generate', ...args, '--key-file', 'new.json'])
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)])
      expect(stderr).not.toContain('hunter2')
    }
    expect(place.run(['keys', 'rotate', '--from', 'old.pem']).stderr).toContain('--from: goes with generate')
  })

  test('reports what is wrong, with exit code 2 and on the standard error', () => {
    using place = new Workplace()
    const [first] = keys(place, ['generate']).rows
    writeFileSync(join(place.folder, 'other.pem'), '-----BEGIN PUBLIC KEY-----')
    writeFileSync(join(place.folder, 'broken.json'), '{"format":"vestal-keys","version":1,"keys":[{}]}')
    mkdirSync(join(place.folder, 'folder'))
    const cases: readonly (readonly [args: readonly string[], message: string])[] = [
      [[], 'keys: say what to do, one of generate, list, rotate, retire, revoke'],
      [['delete'], 'keys: "delete" is not one of generate, list, rotate, retire, revoke; did you mean keys revoke?'],
      [['revoke'], 'keys revoke: needs one key id'],
      [['retire', 'a', 'b'], '"b": is not a flag'],
      [['list', 'a'], 'keys list: takes no "a"'],
      [['revoke', 'nobody'], 'there is no key "nobody"'],
      [['rotate', '--keep-seconds', '-1'], '--keep-seconds: must be a whole number from 0 to 31536000'],
      [['rotate', '--keep-seconds', '1e3'], '--keep-seconds: must be'],
      [['generate', '--algorithm', 'none'], '--algorithm: must be one of'],
      [['generate', '--algorithm', 'HS256'], 'shared secrets and public keys are mixed'],
      [['generate', '--passphrase', 'x'], '--passphrase: is not a flag'],
      [['generate', '--key-passphrase', 'x'], '--key-passphrase: others can read a command line'],
      [['generate', '--encrypt'], 'set VESTAL_KEY_PASSPHRASE'],
      [['rotate', '--key-file', 'none.json'], 'none.json: there is no such file; vestal keys generate makes one'],
      [['list', '--key-file', 'none.json'], 'none.json: there is no such file'],
      [['generate', '--key-file', 'other.pem'], 'other.pem: is not a key file of vestal keys, and is left as it is'],
      [['generate', '--key-file', 'broken.json'], 'broken.json: the "kid" of key 1'],
      [['generate', '--key-file', 'folder'], 'folder: '],
    ]
    for (const [args, message] of cases) {
      const { stdout, stderr, exitCode } = place.run(['keys', ...args])
      expect([args, exitCode, stdout, stderr]).toEqual([args, 2, '', expect.stringContaining(message)])
    }
    expect(keys(place, ['list']).rows).toEqual([first as Row])
    expect(readFileSync(join(place.folder, 'other.pem'), 'utf8')).toBe('-----BEGIN PUBLIC KEY-----')
  })

  test('shows its flags and its words', () => {
    using place = new Workplace()
    const { stdout, exitCode } = place.run(['keys', '--help'])
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining('generate|list|rotate|retire KEY_ID|revoke KEY_ID')])
    for (const flag of ['--json', '--encrypt', '--keep-seconds', 'VESTAL_KEY_PASSPHRASE']) expect(stdout).toContain(flag)
  })

  test('follows a link, and says where a secret of the environment goes first', () => {
    using place = new Workplace()
    mkdirSync(join(place.folder, 'real'))
    keys(place, ['generate', '--key-file', 'real/keys.json'])
    symlinkSync('real/keys.json', join(place.folder, 'link.json'))
    expect(keys(place, ['generate', '--key-file', 'link.json']).states).toEqual(['active', 'next'])
    expect(keys(place, ['list', '--key-file', 'real/keys.json']).states).toEqual(['active', 'next'])
    expect(keys(place, ['generate'], { VESTAL_SECRET: SECRET }).stderr).toContain('VESTAL_SECRET is set')
  })

  test('closes a file that others could read at its next change, and warns until then', () => {
    using place = new Workplace()
    keys(place, ['generate'])
    chmodSync(path(place), 0o644)
    expect(place.run(TOKEN).stderr).toContain('is readable by other users')
    keys(place, ['generate'])
    expect(statSync(path(place)).mode & 0o777).toBe(0o600)
  })
})

describe('sealed keys', () => {
  const environment = { VESTAL_KEY_PASSPHRASE: PASSPHRASE }

  test('are written without a private key, and used with the passphrase alone', () => {
    using place = new Workplace()
    keys(place, ['generate'])
    expect(readFileSync(path(place), 'utf8')).toContain('"d":')
    // What was open before is sealed too.
    expect(keys(place, ['generate', '--encrypt'], environment).states).toEqual(['active', 'next'])
    expect(readFileSync(path(place), 'utf8')).not.toContain('"d":')
    expect(decodeJwt(place.run(TOKEN, environment).stdout.trim()).header.alg).toBe('ES256')
    const without = place.run(TOKEN)
    expect([without.exitCode, without.stderr]).toEqual([2, expect.stringContaining('set VESTAL_KEY_PASSPHRASE')])
    const wrong = place.run(TOKEN, { VESTAL_KEY_PASSPHRASE: 'another passphrase' })
    expect([wrong.exitCode, wrong.stderr]).toEqual([2, expect.stringContaining('the passphrase is not the one')])
    expect(place.run(TOKEN, { VESTAL_KEY_PASSPHRASE: 'short' }).stderr).toContain('VESTAL_KEY_PASSPHRASE: must be 12 bytes')
  })

  test('can be taken out of use without it, and are not added to with another', () => {
    using place = new Workplace()
    keys(place, ['generate', '--encrypt'], environment)
    const [first] = keys(place, ['generate'], environment).rows
    expect(keys(place, ['generate'], {}).stderr).not.toBe('')
    expect(keys(place, ['revoke', first?.kid ?? '']).states).toEqual(['revoked', 'active'])
    const other = { VESTAL_KEY_PASSPHRASE: 'another passphrase' }
    expect(keys(place, ['rotate'], other)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('the passphrase is not'),
    })
    expect(keys(place, ['rotate'])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('set VESTAL_KEY_PASSPHRASE') })
    expect(keys(place, ['rotate'], environment).states).toEqual(['revoked', 'retired', 'active'])
  })

  test('are asked for on a terminal, where nothing of the passphrase is shown', async () => {
    using place = new Workplace()
    const made = await typed(place, ['keys', 'generate', '--encrypt'], [`${PASSPHRASE}x\u007f`, PASSPHRASE])
    expect([made.exitCode, made.output]).toEqual([0, expect.stringContaining('active')])
    const used = await typed(place, TOKEN, [PASSPHRASE])
    expect([used.exitCode, used.output]).toEqual([0, expect.stringMatching(/[\w-]+\.[\w-]+\.[\w-]+/)])
    const differs = await typed(
      place,
      ['keys', 'generate', '--encrypt', '--key-file', 'other.json'],
      [PASSPHRASE, `${PASSPHRASE}!`],
    )
    expect([differs.exitCode, differs.output]).toEqual([2, expect.stringContaining('the two passphrases are not the same')])
    const short = await typed(place, ['keys', 'generate', '--encrypt', '--key-file', 'other.json'], ['short'])
    expect([short.exitCode, short.output]).toEqual([2, expect.stringContaining('shorter than 12 bytes')])
    const stopped = await typed(place, ['keys', 'generate', '--encrypt', '--key-file', 'other.json'], ['\u0003'])
    expect([stopped.exitCode, existsSync(join(place.folder, 'other.json'))]).toEqual([130, false])
    for (const { output } of [made, used, differs]) expect(output).not.toContain('horse')
  })
})

/** Runs `vestal` on a terminal of its own and answers its questions, one after the other. */
async function typed(place: Workplace, args: readonly string[], answers: readonly string[]) {
  const waiting = [...answers]
  const decoder = new TextDecoder()
  let output = ''
  let answered = 0
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    cwd: place.folder,
    env: place.environment(),
    terminal: {
      data: (terminal, bytes) => {
        output += decoder.decode(bytes, { stream: true })
        if ((output.match(/(?:Passphrase of [^:]+|again): /g) ?? []).length <= answered) return
        answered += 1
        terminal.write(`${waiting.shift() ?? ''}\r`)
      },
    },
  })
  return { exitCode: await child.exited, output }
}

describe('a key file', () => {
  test('is whole whenever its writer is killed, and never locked afterwards', async () => {
    using place = new Workplace()
    keys(place, ['generate'])
    const killedAt = new Set<string>()
    // Each round lets the writer get one step further in the folder: the lock, the temporary file, its content, its new name.
    for (let step = 1; step <= 10; step++) {
      const before = readFileSync(path(place), 'utf8')
      const child = Bun.spawn([process.execPath, MAIN, 'keys', 'rotate'], {
        cwd: place.folder,
        env: place.environment(),
        stdout: 'ignore',
        stderr: 'ignore',
      })
      let steps = 0
      const watcher = watch(join(place.folder, 'data'), (_, name) => {
        steps += 1
        if (steps < step) return
        killedAt.add(String(name))
        child.kill('SIGKILL')
      })
      await child.exited
      watcher.close()
      const after = readFileSync(path(place), 'utf8')
      const { rows, states, exitCode } = keys(place, ['list'])
      expect([exitCode, states.filter((state) => state === 'active')]).toEqual([0, ['active']])
      // All of the change, or nothing of it.
      expect(rows.length - (JSON.parse(before) as { keys: unknown[] }).keys.length).toBe(after === before ? 0 : 1)
    }
    expect(killedAt.size).toBeGreaterThan(0)
    expect(keys(place, ['rotate']).exitCode).toBe(0)
    expect(existsSync(`${path(place)}.tmp`)).toBe(false)
  })

  test('loses no change of several writers at once', async () => {
    using place = new Workplace()
    keys(place, ['generate'])
    const writers = Array.from({ length: 6 }, () =>
      Bun.spawn([process.execPath, MAIN, 'keys', 'rotate'], {
        cwd: place.folder,
        env: place.environment(),
        stdout: 'ignore',
        stderr: 'ignore',
      }),
    )
    expect(await Promise.all(writers.map((writer) => writer.exited))).toEqual([0, 0, 0, 0, 0, 0])
    const { states } = keys(place, ['list'])
    expect(states).toEqual([...Array(6).fill('retired'), 'active'])
  })
})
