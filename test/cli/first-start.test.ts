import { describe, expect, test } from 'bun:test'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { VERSION } from '../../src/core/version.ts'
import { makeCertificate } from '../support/certificates.ts'
import { type StartedServer, Workplace } from '../support/command-line.ts'
import { HAS_PROCESSES } from '../support/processes.ts'
import { identityModel } from '../support/tiny-models.ts'
import { SECRET } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const PRODUCTION = { NODE_ENV: 'production', VESTAL_SECRET: SECRET }

async function stop({ child }: StartedServer): Promise<void> {
  child.kill('SIGTERM')
  await child.exited
}

/** The password that was shown signs in. */
async function expectShown(server: StartedServer): Promise<void> {
  const password = /signs in once[^\n]*\n {2}(\S+)/.exec(server.output)?.[1] ?? ''
  const answer = await fetch(`${server.base}/auth/`, { method: 'POST', body: JSON.stringify({ name: 'admin', password }) })
  expect(answer.status).toBe(200)
}

describe('the password of the first administrator', () => {
  test('is shown by the start that succeeds, after one whose port was taken', async () => {
    using place = new Workplace()
    using other = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
    const failed = place.run(['start', '--port', String(other.port)], PRODUCTION)
    expect([failed.exitCode, /listens on|signs in once/.test(failed.stdout + failed.stderr)]).toEqual([1, false])
    expect(place.run(['users', 'list', '--json'], PRODUCTION).stdout.trim()).toBe('[]')
    const server = await place.start([], PRODUCTION)
    await expectShown(server)
    await stop(server)
    const again = await place.start([], PRODUCTION)
    expect(again.output).not.toContain('signs in once')
    await stop(again)
  })

  test('is shown by the start that succeeds, after ones that failed for any other reason', async () => {
    using place = new Workplace()
    using taken = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
    writeFileSync(join(place.folder, 'file'), '')
    const failing: readonly (readonly [args: readonly string[], more?: Record<string, string>])[] = [
      [['--metrics-port', String(taken.port)]],
      [['--tls-cert', 'none.pem', '--tls-key', 'none.key']],
      [['--unix', 'file/vestal.sock']],
      [['--host', '203.0.113.1']],
      [['--issuer', 'x', '--decryption-key-file', 'none.jwk']],
      [[], { VESTAL_ADMIN_PASSWORD: 'password' }],
      ...(HAS_PROCESSES ? [[['--processes', '2', '--port', String(taken.port)]] as const] : []),
    ]
    for (const [args, more] of failing) {
      const { exitCode, stdout, stderr } = place.run(['start', '--port', '0', ...args], { ...PRODUCTION, ...more })
      expect([args, exitCode === 0, `${stdout}${stderr}`.includes('signs in once')]).toEqual([args, false, false])
    }
    const server = await place.start([], PRODUCTION)
    await expectShown(server)
    await stop(server)
  })

  test('is shown beside a log that programs read', async () => {
    using place = new Workplace()
    const { child, rest } = await place.start([], { ...PRODUCTION, VESTAL_LOG_FORMAT: 'json' })
    child.kill('SIGTERM')
    await child.exited
    expect(await new Response(child.stderr).text()).toMatch(/signs in once[^\n]*\n {2}\S{24}\n/)
    expect(await rest).not.toContain('signs in once')
  })

  test.skipIf(!HAS_PROCESSES)('is shown once by several processes that start', async () => {
    using place = new Workplace()
    const server = await place.start(['--processes', '2'], PRODUCTION)
    server.child.kill('SIGTERM')
    await server.child.exited
    expect(`${server.output}${await server.rest}`.match(/signs in once/g)).toHaveLength(1)
  })
})

/** Runs a line of a shell, as somebody would who copies it. */
function inShell(place: Workplace, script: string) {
  const { stdout, stderr, exitCode } = Bun.spawnSync(['sh', '-c', script], {
    cwd: place.folder,
    env: { PATH: `${join(process.execPath, '..')}:${process.env.PATH}`, HOME: place.folder },
  })
  return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode }
}

const linesOf = ({ output }: StartedServer) =>
  (output.split('Try, in another terminal:')[1] ?? '')
    .replaceAll(/ \\\n\s*/g, ' ')
    .trim()
    .split('\n')
    .map((line) => line.trim())

describe('the lines that the banner says to try', () => {
  test('work as they stand, wherever the data, the keys and the settings are', async () => {
    using place = new Workplace()
    writeFileSync(join(place.folder, "it's.toml"), 'issuer = "a b"\naudience = ["one", "two"]\nheader_prefix = "Token"\n')
    writeFileSync(join(place.folder, 'own.key'), 'a shared secret of thirty-two bytes and more', { mode: 0o600 })
    const starts: readonly (readonly string[])[] = [
      ['--data', 'else where'],
      ['--config', "it's.toml"],
      ['--key-file', 'own.key', '--allowed-hosts', 'models.example'],
      ['--host', '::1', '--token-type', 'JWT'],
    ]
    for (const args of starts) {
      const server = await place.start(args)
      const lines = linesOf(server)
      const { stdout, stderr } = inShell(place, lines.join('\n'))
      expect([args, lines.length, stderr.includes('error'), stdout]).toEqual([args, 3, false, expect.stringContaining('setosa')])
      await stop(server)
    }
  })

  test('use the certificate of a server that speaks TLS', async () => {
    using place = new Workplace()
    const { cert, key } = makeCertificate({})
    writeFileSync(join(place.folder, 'tls.pem'), cert)
    writeFileSync(join(place.folder, 'tls.key'), key, { mode: 0o600 })
    const server = await place.start(['--tls-cert', 'tls.pem', '--tls-key', 'tls.key'])
    expect(inShell(place, linesOf(server).join('\n')).stdout).toContain('setosa')
    await stop(server)
    writeFileSync(join(place.folder, 'ca.pem'), cert)
    const asking = await place.start(['--tls-cert', 'tls.pem', '--tls-key', 'tls.key', '--tls-client-ca', 'ca.pem'])
    expect(linesOf(asking)).toEqual([expect.stringContaining('a client certificate is needed')])
    await stop(asking)
  })

  test('name models that are there, and none where there is none', async () => {
    using place = new Workplace()
    mkdirSync(join(place.folder, 'own/plain/1'), { recursive: true })
    writeFileSync(join(place.folder, 'own/plain/1/model.onnx'), identityModel('FP32'))
    writeFileSync(join(place.folder, 'own/plain/model.toml'), '[permissions]\nread = "vault:read"\n')
    const server = await place.start(['--models', 'own'])
    expect(inShell(place, linesOf(server).join('\n')).stdout).toContain('"name":"plain"')
    await stop(server)
    mkdirSync(join(place.folder, 'none'))
    const empty = await place.start(['--models', 'none'])
    expect(linesOf(empty)).toEqual([`curl ${empty.base}/public/info/`])
    await stop(empty)
  })

  test('say where a secret of the environment is needed, and never show it', async () => {
    using place = new Workplace()
    const server = await place.start([], { VESTAL_SECRET: SECRET })
    const lines = linesOf(server)
    expect(lines[1]).toBe('# where VESTAL_SECRET is set as for this server:')
    expect(server.output).not.toContain(SECRET)
    expect(inShell(place, [`export VESTAL_SECRET='${SECRET}'`, ...lines].join('\n')).stdout).toContain('setosa')
    await stop(server)
  })
})

describe('a model that cannot be served', () => {
  const folders = (place: Workplace, names: readonly string[]) => {
    for (const name of names) {
      mkdirSync(join(place.folder, `own/${name}/1`), { recursive: true })
      writeFileSync(join(place.folder, `own/${name}/1/model.onnx`), name.startsWith('bad') ? 'no model' : identityModel('FP32'))
    }
  }

  test('is a warning with its reason, and is not counted', async () => {
    using place = new Workplace()
    folders(place, ['a', 'b', 'c', 'd', 'bad'])
    const { output, rest, child } = await place.start(['--models', 'own'], { VESTAL_LOG_FORMAT: 'json' })
    child.kill('SIGTERM')
    await child.exited
    const lines = `${output}${await rest}`.trim().split('\n')
    const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    const warnings = entries.filter(({ level, model }) => level === 'warn' && model !== undefined)
    expect(warnings).toMatchObject([{ model: 'bad', version: '1', reason: expect.stringMatching(/./) }])
    expect(warnings[0]?.message).toContain('the model bad, version 1, cannot be served: it is a text file, such as')
    // The words of ONNX Runtime are in the log alone.
    expect(entries.filter(({ runtimeText }) => runtimeText !== undefined)).toMatchObject([
      {
        level: 'info',
        model: 'bad',
        version: '1',
        runtimeText: expect.stringMatching(/^Load model from .*Protobuf parsing failed/),
      },
    ])
    expect(entries.find(({ mode }) => mode !== undefined)).toMatchObject({
      count: 4,
      message: expect.stringContaining('with 4 models; 1 of 5 cannot be served'),
    })
  })

  test('is shown to people with its reason, and one that no one wants is not', async () => {
    using place = new Workplace()
    folders(place, ['a', 'bad'])
    const server = await place.start(['--models', 'own'])
    await stop(server)
    expect(server.output).toMatch(/^ {2}Models +1 of 2 ready\n +a\n +bad 1: it is a text file, such as/m)
    const other = await place.start(['--models', 'own', '--load-model', 'a'])
    await stop(other)
    expect(other.output).toMatch(/^ {2}Models +1 of 1 ready\n +a\n\n/m)
  })
})

const script = Bun.which('script')
if (hasTool('script', script)) {
  describe('the start screen in a terminal of 80 columns', () => {
    /** What a server shows there, with the ends of lines of a file. */
    const screenWith = async (environment: Record<string, string>) => {
      using place = new Workplace()
      const start = `stty cols 80; ${place.program.join(' ')} start --port 0 & pid=$!; read line; kill $pid; wait $pid`
      const child = Bun.spawn([script ?? '', '-qec', start, '/dev/null'], {
        cwd: place.folder,
        env: { ...place.environment({ TERM: 'xterm', ...environment }), VESTAL_LOG_FORMAT: 'auto' },
        stdin: 'pipe',
        stdout: 'pipe',
      })
      let shown = ''
      let isStopped = false
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        shown += chunk
        if (isStopped || !/Try, [\s\S]*-d '/.test(shown)) continue
        isStopped = true
        child.stdin.write('\n')
        child.stdin.flush()
      }
      await child.exited
      return shown.replaceAll('\r', '')
    }

    test('has colours, and lines that are not wrapped', async () => {
      const screen = await screenWith({})
      expect(screen).toContain(`\u001b[1mVestal ${VERSION}\u001b[22m listens on \u001b[36mhttp://`)
      const plain = screen.replaceAll(/\p{Cc}\[\d+m/gu, '')
      for (const line of plain.split('\n').filter((each) => !each.includes('TOKEN=$(')))
        expect([line, line.length <= 80]).toEqual([line, true])
    })

    test('has none where its user or the terminal wants none', async () => {
      for (const environment of [{ NO_COLOR: '1' }, { TERM: 'dumb' }])
        expect([environment, (await screenWith(environment)).includes('\u001b[')]).toEqual([environment, false])
    })
  })
}
