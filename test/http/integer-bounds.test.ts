/** The bounds of every datatype of integers, exact, in each form in which a request may bring one. */
import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../src/index.ts'
import { openLive } from '../support/live-socket.ts'
import { createServer } from '../support/server.ts'
import { identityModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

const DATATYPES = (['INT', 'UINT'] as const).flatMap((kind) =>
  ([8, 16, 32, 64] as const).map((bits) => {
    const [min, max] = kind === 'INT' ? [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n] : [0n, 2n ** BigInt(bits) - 1n]
    return { datatype: `${kind}${bits}` as const, model: `${kind}${bits}`.toLowerCase(), min, max }
  }),
)

const folder = mkdtempSync(join(tmpdir(), 'vestal-bounds-'))
for (const { datatype, model } of DATATYPES) await Bun.write(join(folder, `${model}/1/model.onnx`), identityModel(datatype))
const engine = await createEngine({ modelsDirectory: folder, threads: 1, instances: 1, warn: () => undefined })
const app = createServer(engine)
app.listen({ port: 0, hostname: '127.0.0.1' })
const base = `http://127.0.0.1:${app.server?.port}`
afterAll(async () => {
  await app.stop(true)
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const ALL = bearer('*')
const post = (path: string, body: string) => fetch(`${base}${path}`, { method: 'POST', headers: ALL, body })

interface Form {
  readonly name: string
  /** The answer to one element, written as it goes into the request: what came back, or the reason. */
  readonly ask: (model: string, datatype: string, element: string) => Promise<string>
}

const elementIn = (text: string) => /\[(?:\[)?(-?\d+)\]/.exec(text)?.[1] ?? text
const message = async (model: string, body: string) => {
  const { socket, ask } = await openLive(`${base.replace('http', 'ws')}/models/${model}/live/`, { headers: ALL })
  const answer = String(await ask(body))
  socket.close()
  return elementIn(answer.replace('"shape":[1]', ''))
}
const FORMS: readonly Form[] = [
  {
    name: 'in a tensor',
    ask: async (model, datatype, element) => {
      const body = `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[1],"data":[${element}]}]}`
      return elementIn((await (await post(`/v2/models/${model}/infer`, body)).text()).replace('"shape":[1]', ''))
    },
  },
  {
    name: 'in rows',
    ask: async (model, _, element) => elementIn(await (await post(`/models/${model}/predict/`, `{"input":[${element}]}`)).text()),
  },
  {
    name: 'in columns',
    ask: async (model, _, element) =>
      elementIn(await (await post(`/models/${model}/predict/`, `{"input":{"x":[${element}]}}`)).text()),
  },
  {
    name: 'in a stream',
    ask: async (model, _, element) => {
      const text = await (await post(`/models/${model}/stream/`, `${element}\n`)).text()
      return /"output":(-?\d+)\}/.exec(text)?.[1] ?? text
    },
  },
  { name: 'in a message of rows', ask: (model, _, element) => message(model, `{"input":[${element}]}`) },
  {
    name: 'in a message of tensors',
    ask: (model, datatype, element) =>
      message(model, `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[1],"data":[${element}]}]}`),
  },
]

describe('an integer', () => {
  for (const { name, ask } of FORMS) {
    for (const { datatype, model, min, max } of DATATYPES) {
      test(`${name} of ${datatype} is what came, from ${min} to ${max} and no further`, async () => {
        for (const value of [min, max]) expect(await ask(model, datatype, String(value))).toBe(String(value))
        for (const value of [min - 1n, max + 1n, 2n ** 70n, -(2n ** 70n)]) {
          const answer = await ask(model, datatype, String(value))
          expect([value, answer]).toEqual([value, expect.stringContaining(`an integer of ${datatype}, from ${min} to ${max}`)])
          // Numbers of up to 2^53 are told as they are for any datatype, longer ones too.
          expect(answer).toContain(`got ${value}`)
        }
      })

      test(`${name} of ${datatype} may be spelled with a fraction of zeros or an exponent, and is exact then too`, async () => {
        for (const [value, spelled] of [
          [max, `${max}.0`],
          [max, `${max}0e-1`],
          [max, `${max}00.0E-2`],
          [max, `${String(max).slice(0, 1)}.${String(max).slice(1)}e${String(max).length - 1}`],
          [min, `${min}.00`],
          [100n, '1e2'],
          [100n, '1E+2'],
          [0n, '-0'],
        ] as const)
          expect([spelled, await ask(model, datatype, spelled)]).toEqual([spelled, String(value)])
        const over = max + 1n
        for (const spelled of [
          `${over}.0`,
          `${over}0e-1`,
          `${String(over).slice(0, 1)}.${String(over).slice(1)}e${String(over).length - 1}`,
          `${max}.5`,
          `${min}.5`,
          '1e400',
          '0.5',
          `"${max}"`,
          'true',
          'null',
          // Quick to reject: as an integer it would take seconds to read.
          '9'.repeat(200_000),
        ])
          expect([spelled, await ask(model, datatype, spelled)]).toEqual([spelled, expect.stringContaining('an integer of')])
      })
    }
  }
})
