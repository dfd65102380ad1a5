import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { COLOURS } from '../../../../src/core/palette.ts'
import { clean } from '../../../../src/telemetry/log/clean.ts'
import { jsonLine } from '../../../../src/telemetry/log/json-line.ts'
import { createLogger, type LogFields, type LoggerOptions } from '../../../../src/telemetry/log/logger.ts'
import { createPrettyLine } from '../../../../src/telemetry/log/pretty-line.ts'
import { makeToken } from '../../../support/tokens.ts'

const AT = Date.UTC(2026, 10, 24, 8, 0, 0, 7)

function capture(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = []
  const logger = createLogger({ level: 'debug', format: jsonLine, now: () => AT, write: (line) => lines.push(line), ...options })
  return { logger, lines }
}

describe('a line', () => {
  test('is one JSON object with its time, its level, its message and what is known', () => {
    const { logger, lines } = capture()
    logger.info('request', { requestId: 'a-1', status: 200, durationMs: 1.23456, subject: 'me' })
    expect(lines).toEqual([
      '{"time":"2026-11-24T08:00:00.007Z","level":"info","message":"request","requestId":"a-1","status":200,"durationMs":1.235,"subject":"me"}',
    ])
  })

  test('has no secret the second time either, and distinguishes what many lines have in common', () => {
    const { logger, lines } = capture()
    for (let index = 0; index < 3000; index += 1)
      logger.info('request', { subject: `caller ${index % 1500}`, model: 'password=hunter2-hunter2' })
    const subjects = lines.map((line) => (JSON.parse(line) as { subject: string }).subject)
    expect(subjects).toEqual(Array.from({ length: 3000 }, (_, index) => `caller ${index % 1500}`))
    expect(lines.join('')).not.toContain('hunter2')
  })

  test('of a request has every field that is there, also beside an earlier request that differs in one of them', () => {
    const { logger, lines } = capture()
    const request: LogFields = {
      process: 2,
      requestId: 'a-1',
      traceId: 'b',
      method: 'GET',
      route: '/models/:name/',
      status: 401,
      durationMs: 0.5,
      address: '::1',
      issuer: 'https://id.example',
      subject: 'ada',
      tokenId: 't-1',
      model: 'iris',
      code: 'TOKEN_EXPIRED',
      reason: 'the token has expired',
    }
    const more: LogFields = { version: '1', error: 'text', runtimeText: 'text', mode: 'production', url: 'https://a', count: 3 }
    const others = Object.keys({ ...request, ...more }) as (keyof LogFields)[]
    for (const name of others) {
      const fields = { ...request, [name]: typeof request[name] === 'number' ? 500 : 'different' }
      for (const each of [request, fields, request, { ...request, [name]: undefined }]) {
        logger.info('request', each)
        const {
          time: _time,
          level: _level,
          message: _message,
          ...logged
        } = JSON.parse(lines.at(-1) ?? '') as LogFields & Record<string, unknown>
        expect(logged).toEqual(JSON.parse(JSON.stringify(each)))
      }
    }
    expect(Object.keys(JSON.parse(lines[0] ?? ''))).toEqual(['time', 'level', 'message', ...Object.keys(request)])
  })

  test('stays one line whatever its values hold', () => {
    const { logger, lines } = capture()
    logger.warn('two\nlines', { subject: '"\\\n\u2028\u0000{}', reason: '\r\n{"level":"error"}' })
    expect(lines.join('').split(/\r|\n/)).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      time: '2026-11-24T08:00:00.007Z',
      level: 'warn',
      message: 'two\nlines',
      subject: '"\\\n\u2028\u0000{}',
      reason: '\r\n{"level":"error"}',
    })
  })

  test('holds nothing that moves a cursor or turns text around, and stays the same JSON', () => {
    const { logger, lines } = capture()
    const evil = '\u001b[2J\u007f\u009b1A\u202e\u2066\u2028'
    logger.warn(`it says ${evil}`, { subject: evil, requestId: evil, runtimeText: evil })
    const [line = ''] = lines
    expect(line).toMatch(/^[ -~]+$/)
    expect(JSON.parse(line)).toMatchObject({ message: `it says ${evil}`, subject: evil, requestId: evil, runtimeText: evil })
  })

  test('for people has of a request its time, status, route, duration and caller', () => {
    const { logger, lines } = capture({ format: createPrettyLine() })
    const request = { requestId: 'a-1', method: 'GET', route: '/models/:name/', model: 'iris', status: 200, durationMs: 2.04 }
    logger.info('request', { ...request, subject: 'me', address: '::1' })
    logger.info('request', { ...request, status: 401, durationMs: 12.7, code: 'TOKEN_EXPIRED', reason: 'the token has expired' })
    logger.warn('request', { ...request, method: 'POST', status: 503, durationMs: 12_345, issuer: 'https://a', subject: 'b' })
    logger.warn('the key file can be read by others')
    logger.error('a request met a bug', { requestId: 'a-2', error: 'text' })
    const clock = new Date(AT).toTimeString().slice(0, 8)
    expect(lines).toEqual([
      `${clock} 200 GET    /models/iris/ 2.0 ms me`,
      `${clock} 401 GET    /models/iris/ 13 ms TOKEN_EXPIRED: the token has expired id=a-1`,
      `${clock} 503 POST   /models/iris/ 12.3 s https://a b  id=a-1`,
      'warning: the key file can be read by others',
      `${clock} error: a request met a bug requestId=a-2 error=text`,
    ])
  })

  test('for people is right also where an earlier line had the same texts, or another time', () => {
    let now = AT
    const { logger, lines } = capture({ format: createPrettyLine(), now: () => now })
    const request = { requestId: 'a', method: 'GET', route: '/models/:name/', status: 200, durationMs: 1 }
    for (const model of ['iris', '\u001b[2J', 'iris', '\u001b[2J', 'password=hunter2-hunter2', 'password=hunter2-hunter2']) {
      logger.info('request', { ...request, model, subject: model })
      now += 1000
    }
    const clock = (index: number) => new Date(AT + index * 1000).toTimeString().slice(0, 8)
    const shown = ['iris', '\\u001b[2J', 'iris', '\\u001b[2J', 'password=[redacted]', 'password=[redacted]']
    expect(lines).toEqual(shown.map((text, index) => `${clock(index)} 200 GET    /models/${text}/ 1.0 ms ${text}`))
  })

  test('for people moves no cursor, whatever its values hold', () => {
    const { logger, lines } = capture({ format: createPrettyLine() })
    const evil = '\u001b[2J\r\n\u009b1A\u202e'
    logger.info('request', {
      requestId: 'a',
      method: 'GET',
      route: '/x',
      status: 403,
      durationMs: 1,
      subject: evil,
      reason: evil,
    })
    logger.warn(`${evil}x`, { subject: evil, model: evil })
    expect(lines.join('').replaceAll('\n', '')).not.toMatch(/\p{Cc}/u)
    expect(lines[0]).toContain('\\u001b[2J\\u000d\\u000a\\u009b1A\\u202e')
  })

  test('for people has colours where they are asked for', () => {
    const { logger, lines } = capture({ format: createPrettyLine(COLOURS) })
    for (const status of [200, 404, 500])
      logger.info('request', { requestId: 'a', method: 'GET', route: '/', status, durationMs: 1 })
    logger.error('x')
    const marks = ['\u001b[32m200', '\u001b[33m404', '\u001b[31m500', '\u001b[31merror']
    for (const [index, mark] of marks.entries()) expect([mark, lines[index]?.includes(mark)]).toEqual([mark, true])
  })

  test('reports a bug with its stack and its cause, and no folder of this machine', () => {
    const { logger, lines } = capture()
    logger.error('failed', { error: new Error('outer', { cause: new Error('inner') }) })
    const { error } = JSON.parse(lines[0] ?? '') as { error: string }
    expect(error).toContain('Error: outer\n')
    expect(error).toContain('caused by Error: inner\n')
    expect(error).toContain('test/unit/telemetry/log/log.test.ts')
    expect(error).not.toContain(import.meta.dir)
  })

  test('of debug and info is made later where the output asks for that, with the time of its event; warnings and errors at once', () => {
    const later: (() => string)[] = []
    let now = AT
    const { logger, lines } = capture({ writeLater: (make) => later.push(make), now: () => now })
    logger.info('first')
    now += 1000
    logger.warn('second')
    logger.debug('third')
    expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['second'])
    expect(later.map((make) => make().slice(0, 59))).toEqual(
      [
        '{"time":"2026-11-24T08:00:00.007Z","level":"info","message":',
        '{"time":"2026-11-24T08:00:01.007Z","level":"debug","message":',
      ].map((line) => line.slice(0, 59)),
    )
  })

  test('below the level is not written, and a level can be changed while it runs', () => {
    const { logger, lines } = capture({ level: 'warn' })
    logger.info('unheard')
    expect(logger.isOn('info')).toBe(false)
    logger.setLevel('info')
    logger.info('heard')
    logger.setLevel('silent')
    logger.error('unheard')
    expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['heard'])
  })
})

describe('what a text may not hold', () => {
  const token = makeToken()
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  for (const [name, secret, text] of [
    ['a token', token, `refused ${token} for its audience`],
    ['a token without its signature', token.split('.')[1] ?? '', `payload ${token.split('.')[1]}`],
    ['a token inside a URL', token, `/models/iris/?access_token=${token}&x=1`],
    ['a scheme and what follows', 'QWxhZGRpbjpvcGVuIHNlc2FtZQ', 'Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='],
    ['a password that is set', 'hunter2-hunter2', 'postgres refused password=hunter2-hunter2'],
    ['a secret in JSON', 'correct-horse-battery', '{"secret": "correct-horse-battery"}'],
    ['a key', pem.slice(40, 80), `could not read ${pem}`],
    ['a key that is cut off', pem.slice(40, 80), `could not read ${pem.slice(0, 100)}`],
    ['a folder of this machine', '/home/somebody', 'at run (/home/somebody/vestal/src/http/app.ts:1:2)'],
  ] as const) {
    test(`${name} is taken out, wherever it stands`, () => {
      expect(clean(text)).not.toContain(secret)
      const { logger, lines } = capture()
      const fields: LogFields = {
        subject: text,
        reason: text,
        error: new Error(text, { cause: text }),
        requestId: text,
        model: text,
      }
      logger.error(text, fields)
      expect(lines.join('')).not.toContain(secret)
      expect(lines.join('')).not.toContain(JSON.stringify(secret).slice(1, -1))
    })
  }

  test('plain words are left as they are', () => {
    for (const text of [
      'the token is expired',
      'me@example.org',
      'needs model:iris:predict',
      'the "typ" is not accepted',
      '/v2/models/:name',
    ]) {
      expect(clean(text)).toBe(text)
    }
  })

  test('and is never long', () => {
    expect(clean('ä'.repeat(100_000)).length).toBeLessThanOrEqual(301)
  })
})
