import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signJwt } from '../../src/index.ts'
import { readDockerfile, variablesOf, wordsOf } from '../support/dockerfile.ts'
import { buildStage, copyContext, copyLibraries, filesUnder, inImage, mayMount } from '../support/image.ts'
import { SECRET } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const ROOT = join(import.meta.dir, '../..')
const tools = process.env.VESTAL_TEST_DEPLOY
/** Libraries of the image that the last stage starts from: glibc, libgcc and libstdc++, and nothing else. */
const BASE_LIBRARIES = /^(?:ld-linux[\w.-]*|lib(?:c|m|dl|rt|pthread|resolv|gcc_s|stdc\+\+))\.so\.\d$/

function tell(command: readonly string[]) {
  const { stdout, stderr, exitCode } = Bun.spawnSync([...command], { cwd: ROOT })
  return { exitCode, said: stdout.toString() + stderr.toString() }
}

if (hasTool('hadolint', tools)) {
  test('hadolint finds nothing in the Dockerfile', () => {
    expect(tell([join(tools, 'hadolint'), 'deploy/Dockerfile'])).toEqual({ exitCode: 0, said: '' })
  })

  test('compose.yaml is what the schema of Compose allows', () => {
    const checker = [join(tools, 'check-jsonschema'), '--builtin-schema', 'vendor.compose-spec', 'deploy/compose.yaml']
    expect(tell(checker)).toEqual({ exitCode: 0, said: expect.stringContaining('ok') })
  })
}

if (hasTool('promtool', tools === undefined ? undefined : Bun.which('promtool'))) {
  test('promtool takes the configuration of Prometheus, with the rules where compose.yaml mounts them', () => {
    const folder = mkdtempSync(join(tmpdir(), 'vestal-prometheus-'))
    for (const [name, path] of [
      ['prometheus.yaml', 'deploy/prometheus.yaml'],
      ['alerts.yaml', 'deploy/alerts.yaml'],
    ] as const)
      Bun.spawnSync(['cp', join(ROOT, path), join(folder, name)])
    expect(tell(['promtool', 'check', 'config', join(folder, 'prometheus.yaml')])).toEqual({
      exitCode: 0,
      said: expect.stringContaining('1 rule files found'),
    })
    rmSync(folder, { recursive: true })
  })
}

if (hasTool('systemd-analyze', tools === undefined ? undefined : Bun.which('systemd-analyze'))) {
  test('systemd understands every line of the unit, and calls it safe', () => {
    const { said } = tell(['systemd-analyze', 'verify', 'deploy/vestal.service'])
    // What it says of programs that are not installed here is of this machine.
    const lines = said.split('\n').filter((line) => line.includes('vestal.service') && !line.includes('is not executable'))
    expect(lines).toEqual([])
    // From 0, which is the safest, to 10, in tenths.
    const rated = ['systemd-analyze', 'security', '--offline=yes', '--threshold=20', 'deploy/vestal.service']
    expect(tell(rated).exitCode).toBe(0)
  })
}

if (hasTool('the right to mount', tools !== undefined && mayMount() ? 'unshare' : undefined)) {
  describe('the image, as the Dockerfile makes it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'vestal-image-'))
    const context = join(folder, 'context')
    const image = join(folder, 'image')
    const [build, last] = readDockerfile(readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8'))
    if (build === undefined || last === undefined) throw new Error('there must be two stages')
    const user = last.instructions.findLast(({ name }) => name === 'USER')?.text ?? ''
    const environment = { PATH: process.env.PATH ?? '', ...variablesOf(last), VESTAL_HOST: '127.0.0.1', VESTAL_SECRET: SECRET }
    const vestal = (...args: readonly string[]) => {
      const { stdout, stderr, exitCode } = Bun.spawnSync(inImage(image, user, ['/app/vestal', ...args]), { env: environment })
      return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode }
    }
    let libraries: readonly string[] = []

    beforeAll(() => {
      copyContext(ROOT, context, readFileSync(join(ROOT, 'deploy/Dockerfile.dockerignore'), 'utf8'))
      buildStage(build, join(folder, 'build'), { context, built: new Map() })
      buildStage(last, image, { context, built: new Map([['build', join(folder, 'build')]]) })
      libraries = copyLibraries(
        image,
        [...filesUnder(join(image, 'app')).keys()].map((name) => `app/${name}`),
      )
      for (const name of ['proc', 'dev']) mkdirSync(join(image, name))
    }, 120_000)
    afterAll(() => rmSync(folder, { recursive: true, force: true }))

    test('is given no data, no history and no modules of this machine', () => {
      expect(readdirSync(context).sort()).toEqual(['bun.lock', 'bunfig.toml', 'deploy', 'models', 'package.json', 'src'])
      expect(readdirSync(join(context, 'deploy')).sort()).toEqual(['build.ts', 'executable.ts'])
    })

    test('holds the executable, libraries of this platform alone, and models, in less than 215 MB', () => {
      const files = filesUnder(image)
      const own = [...files].filter(([name]) => /^(?:app|models|data)\//.test(name))
      expect(
        own
          .map(([name]) => name)
          .filter((name) => name.startsWith('app/'))
          .sort(),
      ).toEqual([
        'app/lib/jsonwebtoken.node',
        'app/lib/libonnxruntime.so.1',
        'app/lib/onnxruntime_binding.node',
        expect.stringMatching(/^app\/lib\/sharp\/sharp-libvips-linux-\w+\/lib\/libvips-cpp\.so\.[\d.]+$/),
        expect.stringMatching(/^app\/lib\/sharp\/sharp-linux-\w+\/lib\/sharp-linux-\w+-[\d.]+\.node$/),
        'app/vestal',
      ])
      expect(own.reduce((sum, [, size]) => sum + size, 0)).toBeLessThan(215e6)
      expect(libraries.filter((name) => !BASE_LIBRARIES.test(name))).toEqual([])
    })

    test('runs as its user on a root that no one can write to: ready, a prediction, a stop, and its data are its own', async () => {
      expect(vestal('doctor', '--port', '0', '--json')).toMatchObject({ exitCode: 0, stderr: '' })
      const before = [...filesUnder(image).keys()].filter((name) => !name.startsWith('data/') && !name.startsWith('proc'))
      const command = inImage(image, user, [...wordsOf(last, 'ENTRYPOINT'), ...wordsOf(last, 'CMD')])
      const child = Bun.spawn(command, { env: { ...environment, VESTAL_PORT: '0' }, stdout: 'pipe', stderr: 'pipe' })
      const reader = child.stdout.getReader()
      let output = ''
      let base: string | undefined
      while (base === undefined) {
        const { value, done } = await reader.read()
        if (done) throw new Error(`it ended: ${await new Response(child.stderr).text()}`)
        output += Buffer.from(value).toString()
        base = /"url":"([^"]+)"/.exec(output)?.[1]
      }
      const [, ...health] = wordsOf(last, 'HEALTHCHECK')
      expect(vestal(...health, '--port', new URL(base).port)).toEqual({ stdout: 'ready\n', stderr: '', exitCode: 0 })
      const token = signJwt({ sub: 'me', exp: Date.now() / 1000 + 60, data: { permissions: ['model:*:predict'] } }, SECRET)
      const answer = await fetch(`${base}/models/iris/predict/`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        body: '{"input": [[5.1, 3.5, 1.4, 0.2]]}',
      })
      expect(await answer.json()).toEqual({ output: [expect.objectContaining({ label: 'setosa' })] })
      // It is process 1 there, as in a container: a signal that it did not ask for would be ignored.
      const pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim())
      process.kill(pid, 'SIGTERM')
      expect(await child.exited).toBe(0)
      expect(vestal(...health, '--port', new URL(base).port).exitCode).toBe(1)
      const after = [...filesUnder(image).keys()].filter((name) => !name.startsWith('data/') && !name.startsWith('proc'))
      expect(after).toEqual(before)
      const { uid, mode } = statSync(join(image, 'data/vestal.db'))
      expect([uid, mode & 0o777]).toEqual([Number(user.split(':')[0]), 0o600])
    })
  })
}
