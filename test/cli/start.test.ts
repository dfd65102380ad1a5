import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { signJwt } from '../../src/index.ts'
import { Workplace } from '../support/command-line.ts'
import { identityModel, slowModel } from '../support/tiny-models.ts'
import { SECRET } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const ID = '497f6eca-6276-4993-bfeb-53cbbbba6f08'
const signIn = (base: string) => fetch(`${base}/auth/`, { method: 'POST', body: JSON.stringify({ id: ID }) })

/** Asks again while the server has no room. */
async function accepted(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init)
  return response.status === 503 ? accepted(url, init) : response
}

/** Waits until a prediction is in flight: with room for only one, the next is rejected. */
async function untilBusy(base: string, token: string): Promise<void> {
  const init = { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: '{"input":[[1]]}' }
  await until(async () => (await fetch(`${base}/models/slow/predict/`, init)).status === 503)
}

describe('vestal start in development mode', () => {
  test('says where it listens, what it serves and what to try, in 80 columns, and warns', async () => {
    using place = new Workplace()
    const { base, output, child } = await place.start()
    expect(output).toMatch(/^ {2}Mode +development: POST \/auth\/ gives any program/m)
    expect(output).toMatch(/^ {2}Models +4 of 4 ready\n +digits, iris, reviews, simple$/m)
    // The command that starts the program again is in a line of its own, which is not wrapped.
    for (const line of output.split('\n').filter((each) => !each.includes('TOKEN=$(')))
      expect([line, line.length <= 80]).toEqual([line, true])
    expect(output.match(/^ {2}(?:curl|TOKEN=)/gm)).toHaveLength(3)
    expect((await fetch(`${base}/v2/health/ready`)).status).toBe(200)
    expect((await signIn(base)).status).toBe(200)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('says which engine checks signatures', async () => {
    using place = new Workplace()
    const { output, child } = await place.start()
    expect(output.replaceAll(/\n {14}/g, ' ')).toContain(
      '  Signatures  HS256, HS384, HS512: native (Rust, @node-rs/jsonwebtoken); the rest: boring (BoringSSL in Bun)\n',
    )
    child.kill('SIGTERM')
    await child.exited
  })

  test('serves without the Rust addon where it cannot be loaded, and says why', async () => {
    using place = new Workplace()
    const { base, output, child } = await place.start([], {
      NAPI_RS_NATIVE_LIBRARY_PATH: '/nowhere/broken.node',
    })
    expect(output).toMatch(/^ {2}Signatures +boring \(BoringSSL in Bun\)$/m)
    const { token } = (await (await signIn(base)).json()) as { token: string }
    const answer = await fetch(`${base}/private/info/`, { headers: { authorization: `Bearer ${token}` } })
    expect(answer.status).toBe(200)
    child.kill('SIGTERM')
    await child.exited
    const errors = await new Response(child.stderr).text()
    expect(
      errors.match(/warning: @node-rs\/jsonwebtoken cannot be loaded: .*; BoringSSL checks signatures in its place/g),
    ).toHaveLength(1)
    expect(errors).not.toContain('/nowhere')
  })

  test('signs no one in under another name, as a rebound page would ask', async () => {
    using place = new Workplace()
    const { base, child } = await place.start()
    const asked = await fetch(`${base}/auth/`, {
      method: 'POST',
      body: JSON.stringify({ id: ID }),
      headers: { host: 'evil.example' },
    })
    expect(asked.status).toBe(404)
    child.kill('SIGTERM')
    await child.exited
  })

  test('keeps its secret, so that a token outlives a restart', async () => {
    using place = new Workplace()
    const first = await place.start()
    const { token } = (await (await signIn(first.base)).json()) as { token: string }
    first.child.kill('SIGTERM')
    await first.child.exited
    const second = await place.start()
    const answer = await fetch(`${second.base}/private/info/`, { headers: { authorization: `Bearer ${token}` } })
    expect(answer.status).toBe(200)
    second.child.kill('SIGTERM')
    await second.child.exited
  })

  test('serves single files beside the folder, and continues where one is broken', async () => {
    using place = new Workplace()
    writeFileSync(join(place.folder, 'own.onnx'), identityModel('FP32'))
    const { base, output, child } = await place.start(['--model', 'own=own.onnx', '--model', 'gone=gone.onnx'])
    expect(output).toMatch(/^ +gone 1: its gone\.onnx is missing$/m)
    const token = place.run(['token', '--subject', 'me', '--permission', 'model:own:predict']).stdout.trim()
    const init = { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: '{"input":[1.5]}' }
    expect(await (await fetch(`${base}/models/own/predict/`, init)).json()).toEqual({ output: [1.5] })
    child.kill('SIGTERM')
    await child.exited
  })
})

describe('vestal start in production mode', () => {
  for (const [name, args, environment] of [
    ['NODE_ENV', [], { NODE_ENV: 'production' }],
    ['a host that others can reach', ['--host', '0.0.0.0'], {}],
    ['a host that others can reach, by the environment', [], { VESTAL_HOST: '::' }],
  ] as const) {
    test(`by ${name} does not start without a key, and says what to set`, () => {
      using place = new Workplace()
      const { stdout, stderr, exitCode } = place.run(['start', '--port', '0', ...args], environment)
      expect([exitCode, stdout]).toEqual([2, ''])
      for (const part of ['VESTAL_SECRET=', 'VESTAL_KEY_FILE=', 'at least 32 bytes']) expect(stderr).toContain(part)
    })
  }

  test('has no demonstration sign-in, on whatever address it is asked', async () => {
    using place = new Workplace()
    for (const args of [['--host', '0.0.0.0'], []]) {
      const { base, output, child } = await place.start(args, {
        VESTAL_SECRET: SECRET,
        ...(args.length === 0 && { NODE_ENV: 'production' }),
      })
      expect(output).toMatch(/^ {2}Mode +production$/m)
      const local = base.replace('0.0.0.0', '127.0.0.1')
      expect((await signIn(local)).status).toBe(400)
      const token = signJwt({ sub: 'me', data: { permissions: ['my-permission-name'] } }, SECRET)
      expect((await fetch(`${local}/private/info/`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200)
      expect((await fetch(`${local}/private/info/`)).status).toBe(401)
      child.kill('SIGTERM')
      expect(await child.exited).toBe(0)
    }
  })
})

describe('vestal start', () => {
  test('gives its metrics on a port of their own, to this machine alone', async () => {
    using place = new Workplace()
    const { base, output, child } = await place.start(['--metrics-port', '0'])
    const metrics = /^Metrics are at (\S+)$/m.exec(output)?.[1] ?? ''
    expect(metrics).toStartWith('http://127.0.0.1:')
    await fetch(`${base}/public/info/`)
    const text = await (await fetch(metrics)).text()
    expect(text).toContain('vestal_http_request_duration_seconds_count{method="GET",route="/public/info/",status="200"} 1')
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m)
    expect(text).toContain('# TYPE vestal_event_loop_lag_seconds histogram')
    expect((await fetch(metrics, { headers: { host: 'evil.example' } })).status).toBe(404)
    expect((await fetch(metrics, { method: 'POST' })).status).toBe(405)
    expect((await fetch(`${base}/metrics`)).status).toBe(401)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('does not serve where the metrics port is in use', () => {
    using place = new Workplace()
    using taken = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
    const { exitCode, stdout, stderr } = place.run(['start', '--port', '0', '--metrics-port', String(taken.port)])
    expect([exitCode, stderr.includes(`port ${taken.port} on 127.0.0.1 is in use`)]).toEqual([2, true])
    expect(stdout).not.toContain('listens on')
  })

  test('on a port in use exits with 1', async () => {
    using place = new Workplace()
    using other = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('') })
    const { stderr, exitCode } = place.run(['start', '--port', String(other.port)])
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining(`port ${other.port} on 127.0.0.1 is in use`)])
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`stopped by ${signal} finishes in-flight requests, rejects new ones and exits with 0`, async () => {
      using place = new Workplace()
      writeFileSync(join(place.folder, 'slow.onnx'), slowModel(60))
      const { base, child } = await place.start(['--model', 'slow=slow.onnx', '--threads', '1', '--queue-max', '1'], {
        VESTAL_SECRET: SECRET,
      })
      const token = signJwt({ sub: 'me', data: { permissions: ['*'] } }, SECRET)
      const rows = Array(500).fill(Array(500).fill(0))
      const init = { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: JSON.stringify({ input: rows }) }
      const atHand = accepted(`${base}/models/slow/predict/`, init)
      await untilBusy(base, token)
      child.kill(signal)
      const answer = await atHand
      expect([answer.status, Object.keys((await answer.json()) as object)]).toEqual([200, ['output']])
      expect(await child.exited).toBe(0)
      expect(fetch(`${base}/v2/health/live`)).rejects.toThrow()
    })
  }

  test('being stopped is not ready first, and takes requests until the delay has passed', async () => {
    using place = new Workplace()
    const { base, child } = await place.start(['--shutdown-delay-seconds', '1'])
    child.kill('SIGTERM')
    await until(async () => (await fetch(`${base}/v2/health/ready`)).status === 503)
    expect((await fetch(`${base}/public/info/`)).status).toBe(200)
    expect(await child.exited).toBe(0)
    expect(fetch(`${base}/v2/health/live`)).rejects.toThrow()
  })

  test('stopped a second time ends at once, with 1', async () => {
    using place = new Workplace()
    const { base, child } = await place.start(['--shutdown-delay-seconds', '600'])
    child.kill('SIGTERM')
    await until(async () => (await fetch(`${base}/v2/health/ready`)).status === 503)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(1)
  })

  test('logs text for people in development mode, in a pipe too', async () => {
    using place = new Workplace()
    const { base, output, rest, child } = await place.start([], { VESTAL_LOG_FORMAT: '' })
    await fetch(`${base}/public/info/`)
    child.kill('SIGTERM')
    await child.exited
    expect(await rest).toMatch(/^\d\d:\d\d:\d\d 200 GET {4}\/public\/info\/ \d+(?:\.\d)? ms$/m)
    expect(output.includes('\u001b')).toBe(false)
  })

  test('logs one JSON object a line in production where no terminal is', async () => {
    using place = new Workplace()
    const production = { VESTAL_LOG_FORMAT: '', NODE_ENV: 'production', VESTAL_SECRET: SECRET, VESTAL_ACCOUNTS: 'off' }
    const { base, output, rest, child } = await place.start([], production)
    await fetch(`${base}/public/info/`)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
    const lines = `${output}${await rest}`.trim().split('\n')
    const all = lines.map((line) => JSON.parse(line) as { level: string; message: string; route?: string })
    // Why the models share runs, in the order in which they are loaded.
    const entries = all.filter(({ message }) => !message.includes('requests share'))
    expect(entries.map(({ message }) => message)).toEqual([
      expect.stringContaining(`listens on ${base}`),
      expect.stringContaining('signatures are checked by'),
      'request',
      expect.stringContaining('stopping'),
    ])
    expect(entries[2]?.route).toBe('/public/info/')
    expect(await new Response(child.stderr).text()).toBe('')
  })

  test('whose log no one reads continues answering', async () => {
    using place = new Workplace()
    const { server, reader } = await place.startUnread([], { VESTAL_LOG_FORMAT: 'json' })
    const { base, child } = server
    // More than a pipe and the buffer before it hold: a mebibyte, and 64 KiB.
    const headers = { 'x-request-id': 'x'.repeat(128) }
    for (let index = 0; index < 4000; index += 1) await fetch(`${base}/private/info/`, { headers })
    expect((await fetch(`${base}/v2/health/live`)).status).toBe(200)
    // And goes on when the reader is gone.
    await reader.cancel()
    for (let index = 0; index < 100; index += 1) expect((await fetch(`${base}/v2/health/live`)).status).toBe(200)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('that cannot finish in time is cut off with 1', async () => {
    using place = new Workplace()
    writeFileSync(join(place.folder, 'slow.onnx'), slowModel(400))
    const args = ['--model', 'slow=slow.onnx', '--threads', '1', '--queue-max', '1', '--shutdown-seconds', '0']
    const { base, child } = await place.start(args, { VESTAL_SECRET: SECRET })
    const token = signJwt({ sub: 'me', data: { permissions: ['*'] } }, SECRET)
    const body = JSON.stringify({ input: Array(600).fill(Array(600).fill(0)) })
    const atHand = accepted(`${base}/models/slow/predict/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body,
    })
    const failed = atHand.then(
      () => 'answered',
      () => 'cut off',
    )
    await untilBusy(base, token)
    child.kill('SIGTERM')
    expect([await failed, await child.exited]).toEqual(['cut off', 1])
  })
})
