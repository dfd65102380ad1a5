import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signJwt } from '../src/jose/sign.ts'
import { identityModel } from '../test/support/tiny-models.ts'
import { atLeast } from './harness/asked.ts'
import { CORES } from './harness/cores.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { figureOf } from './harness/measure.ts'
import { report, reportAsked } from './harness/report.ts'
import { SECRET } from './servers/plan.ts'
import { startServer } from './servers/start.ts'

export interface TensorRounds {
  readonly rounds: number
  /** Requests of each form in a round. */
  readonly requests: number
}

const ELEMENTS = 2_000_000
const authorization = `Bearer ${signJwt({ sub: 'bench', data: { permissions: ['*'] } }, SECRET, { lifetimeSeconds: 3600 })}`

interface Form {
  readonly name: string
  readonly note: string
  readonly body: Uint8Array
  readonly headers: Readonly<Record<string, string>>
}

/** `bun run bench tensor`: an FP32 tensor of 8 MB there and back through a model that gives it back, in each form, in turns. */
export async function benchTensor({ rounds, requests }: TensorRounds, isKept: boolean): Promise<void> {
  warnWhereBusy()
  const occasion = { machine: `${describeMachine()}; one client on the same machine, ${CORES}`, isKept }
  const folder = mkdtempSync(join(tmpdir(), 'vestal-bench-tensor-'))
  await Bun.write(join(folder, 'same/1/model.onnx'), identityModel('FP32'))
  const server = await startServer('vestal', [process.execPath, join(import.meta.dir, 'servers/tensor.ts'), folder])
  try {
    const forms = formsOf()
    const samples = new Map<Form, number[]>(forms.map((form) => [form, []]))
    for (const form of forms) await check(server.base, form)
    for (let round = 0; round < rounds; round += 1) {
      for (const form of round % 2 === 0 ? forms : [...forms].reverse()) {
        const begun = performance.now()
        for (let request = 0; request < requests; request += 1) await ask(server.base, form)
        samples.get(form)?.push((performance.now() - begun) / requests)
      }
    }
    const figures = new Map(forms.map((form) => [form, figureOf(samples.get(form) ?? [])]))
    report(
      [
        {
          id: 'tensor-8mb',
          title: 'An FP32 tensor of 8 MB, there and back',
          text: `\`POST /v2/models/same/infer\` with ${ELEMENTS} elements, ${rounds} interleaved rounds of ${requests}, one client.`,
          unit: 'ms a request',
          isLessBetter: true,
          base: 'binary',
          rows: forms.map((form) => ({ name: form.name, note: form.note, figure: figures.get(form) ?? figureOf([]) })),
        },
      ],
      occasion,
    )
    const [binary, json] = forms.map((form) => figures.get(form)?.median ?? Number.NaN)
    if (isKept)
      reportAsked(
        { id: 'tensor-asked', title: 'Targets of the tensor bench' },
        [atLeast('8 MB FP32 tensor, binary form', 8, { ratio: (json ?? 0) / (binary ?? 1), of: 'its JSON form' })],
        occasion,
      )
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true })
  }
}

function formsOf(): readonly Form[] {
  const values = Float32Array.from({ length: ELEMENTS }, (_, index) => Math.fround(Math.sin(index) * 10))
  const blob = new Uint8Array(values.buffer)
  const tensor = { name: 'x', datatype: 'FP32', shape: [ELEMENTS] }
  const binary = (filler: string): Form['body'] => Buffer.concat([head(filler), blob])
  const head = (filler: string) =>
    Buffer.from(
      JSON.stringify({
        id: filler,
        inputs: [{ ...tensor, parameters: { binary_data_size: blob.length } }],
        parameters: { binary_data_output: true },
      }),
    )
  const lengthOf = (filler: string) => ({ 'inference-header-content-length': String(head(filler).length) })
  const fitting = 'a'.repeat((8 - (head('').length % 8)) % 8)
  const json = (data: readonly (number | string)[]) =>
    Buffer.from(`{"inputs":[{"name":"x","datatype":"FP32","shape":[${ELEMENTS}],"data":[${data.join(',')}]}]}`)
  return [
    {
      name: 'binary',
      note: 'data at a multiple of eight: not copied after Bun',
      body: binary(fitting),
      headers: lengthOf(fitting),
    },
    {
      name: 'JSON, as Python writes it',
      note: 'each FP32 as the double it is, 17 digits',
      body: json([...values]),
      headers: {},
    },
    {
      name: 'JSON, short',
      note: 'eight digits',
      body: json(Array.from(values, (value) => value.toPrecision(8))),
      headers: {},
    },
    { name: 'binary, one byte off', note: 'moved once in place', body: binary(`${fitting}a`), headers: lengthOf(`${fitting}a`) },
    { name: 'raw', note: 'no JSON in the request', body: blob, headers: { 'inference-header-content-length': '0' } },
  ]
}

async function ask(base: string, { body, headers }: Form): Promise<Uint8Array> {
  const response = await fetch(`${base}/v2/models/same/infer`, {
    method: 'POST',
    headers: { authorization, 'accept-encoding': 'identity', ...headers },
    body: body as Uint8Array<ArrayBuffer>,
  })
  const bytes = await response.bytes()
  if (response.status !== 200) throw new Error(Buffer.from(bytes.subarray(0, 300)).toString())
  return bytes
}

/** Proves that what comes back is what was sent, and warms the form up. */
async function check(base: string, form: Form): Promise<void> {
  const bytes = await ask(base, form)
  if (bytes.length < ELEMENTS * 4) throw new Error(`${form.name} gave ${bytes.length} bytes`)
  await ask(base, form)
}
